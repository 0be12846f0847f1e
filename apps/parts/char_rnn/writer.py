"""What a network that guesses the next character is asked: how well it guesses, and what it writes.

The network takes ids (batch, time) and gives logits (batch, time, symbols). To write, it is taken apart: a table
"symbols" (`keras.layers.ReversibleEmbedding`), LSTM layers one above the other, and a dense layer "head".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from shared.decoding.sampling import draw_likely
from shared.training.inference import compiled_inference
from shared.training.runtime import import_keras

BLOCK = 256  # characters, as in nanoGPT's evaluation
Pieces = Iterator[tuple[np.ndarray, np.ndarray]]  # ids and their log-probabilities, as they come
Speak = Callable[..., Pieces]


def block_judge(network: Any, batch: int = 64) -> Callable[..., np.ndarray]:
    """`judge(ids, starts)`: the mean nats per character of the block of 256 at each start, each from a zero state.

    Without starts, it takes one block after the other; of a long text, 512 to 1,023 of them, at equal distances.
    """
    import_keras()
    from keras import losses

    def nats(ids, following):  # (batch, block) each
        return losses.sparse_categorical_crossentropy(following, network(ids, training=False), from_logits=True)

    measure = compiled_inference(nats, network, batch=batch)

    def judge(ids: np.ndarray, starts: np.ndarray | None = None) -> np.ndarray:
        if starts is None:
            starts = np.arange(0, max(len(ids) - BLOCK, 1), BLOCK)
            starts = starts[:: max(len(starts) // 512, 1)]
        blocks = ids[starts[:, None] + np.arange(min(BLOCK + 1, len(ids)))]
        return measure(blocks[:, :-1], blocks[:, 1:]).mean(axis=-1)

    return judge


def speaker(network: Any, chunk: int = 64) -> Speak:
    """The network as a writer: `speak(prompt ids, length, rng, temperature, ...)` gives ids and log-probabilities.

    What it gives begins after the prompt's first character; the others of the prompt are not chosen, but scored, at a
    temperature of 1. One compiled call writes `chunk` characters, one step after the other through the network's own
    layers and cells; chance comes from `rng`, so that a seed writes the same text on every backend, rounding aside.

    Of the symbols it allows the `top_k` most likely (0 for all), and the most likely that together have the probability
    `top_p`. Neither is compiled in, nor is the temperature.

    Args:
        network: as above.
        chunk: characters in a call.
    """
    import_keras()
    from keras import layers, ops

    from shared.training.steps import compile_step

    table, head = network.get_layer("symbols"), network.get_layer("head")
    cells = [layer.cell for layer in network.layers if isinstance(layer, layers.LSTM)]

    def step(state, at):
        (before, _, *memory), (given, chance, temperature, top_k, top_p) = state, at
        x, kept = table(ops.reshape(before, (1,))), []
        for n, cell in enumerate(cells):
            x, states = cell(x, memory[2 * n : 2 * n + 2])
            kept += states
        logits = table(head(x), reverse=True)[0]  # (symbols,)
        chosen = ops.where(given >= 0, given, draw_likely(logits / temperature, chance, top_k, top_p))
        state = [chosen, ops.take(ops.log_softmax(logits), chosen), *kept]
        return state, state

    def go_on(state, *at):
        state, (ids, scores, *_) = ops.scan(step, state, at)
        return ids, scores, state

    compiled = compile_step(go_on, network, jit_compile=True)
    empty = [ops.zeros((1, size), network.compute_dtype) for cell in cells for size in cell.state_size]

    def speak(
        prompt: np.ndarray,
        length: int,
        rng: np.random.Generator,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> Pieces:
        state = [ops.convert_to_tensor(prompt[0], "int32"), ops.zeros(()), *empty]
        total = len(prompt) - 1 + length
        given = np.full(total + chunk, -1, np.int32)
        given[: len(prompt) - 1] = prompt[1:]
        heat, share = (np.full(chunk, value, np.float32) for value in (temperature, top_p))
        most = np.full(chunk, top_k or network.output_shape[-1], np.int32)
        for start in range(0, total, chunk):
            chances = rng.random(chunk, np.float32)
            ids, scores, state = compiled(state, given[start : start + chunk], chances, heat, most, share)
            yield np.asarray(ids)[: total - start], np.asarray(scores)[: total - start]

    return speak


def collect(pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """All that a writer gives, in one piece."""
    ids, scores = zip(*pieces, strict=True)
    return np.concatenate(ids), np.concatenate(scores)
