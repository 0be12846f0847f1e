"""The table that the demo needs no file for: it comes with scikit-learn."""

from __future__ import annotations

import numpy as np

from shared.data.tables import Table


def sample_table() -> Table:
    """Breast cancer, Wisconsin (Wolberg, Street & Mangasarian 1995): 569 tumours, 30 measurements, diagnosis."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    words = [
        [*(f"{value:g}" for value in row), data.target_names[n]] for row, n in zip(data.data, data.target, strict=True)
    ]
    return Table("breast cancer", (*data.feature_names, "diagnosis"), np.array(words, object))
