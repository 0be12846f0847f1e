"""What a classifier's logits mean, and how far they can be trusted."""

from __future__ import annotations

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities float64 from logits, along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
    return powers / powers.sum(-1, keepdims=True)


def accuracies(logits: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Shares from 0 to 1 that tell how good a classifier is, from logits (photos, classes) and classes (photos,).

    "calibration error" is the expected one (Guo et al. 2017, arXiv:1706.04599), in 15 bins: how far the confidence
    in the likeliest class is from the accuracy, on average.
    """
    shares, right = softmax(logits), logits.argmax(-1) == truth
    confidence = shares.max(-1)
    bins = np.minimum(confidence * 15, 14).astype(int)
    gaps = np.bincount(bins, confidence - right)  # summed up in each bin
    five = (np.argsort(-logits)[:, :5] == truth[:, None]).any(-1)
    return {
        "top-1": float(right.mean()),
        "top-5": float(five.mean()),
        "confidence": float(confidence.mean()),
        "calibration error": float(np.abs(gaps).sum() / len(truth)),
    }
