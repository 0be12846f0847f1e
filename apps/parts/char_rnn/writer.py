"""What a trained network is used for: to measure how well it predicts a text, and to write one.

The network takes ids (batch, time) and gives logits (batch, time, symbols). To write, it is taken apart: an embedding
"symbols" (`keras.layers.ReversibleEmbedding`), LSTM layers one above the other, and a dense layer "head".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from shared.decoding.sampling import draw_likely
from shared.training.inference import compiled_inference
from shared.training.runtime import import_keras

BLOCK = 256  # characters, as in nanoGPT's evaluation
Piece = tuple[np.ndarray, np.ndarray]
"""Some ids of a text, and their log-probabilities."""


def compile_block_losses(network: Any, batch: int = 64) -> Callable[..., np.ndarray]:
    """A function `block_losses(ids, starts)`: the mean nats per character of the block of 256 at each start.

    Each block is read from an empty memory. Without starts, it takes one block after the other; of a long text, 512 to
    1,023 of them, at equal distances.
    """
    import_keras()
    from keras import losses

    def nats(ids, following):  # (batch, block) each
        return losses.sparse_categorical_crossentropy(following, network(ids, training=False), from_logits=True)

    compiled = compiled_inference(nats, network, batch=batch)

    def block_losses(ids: np.ndarray, starts: np.ndarray | None = None) -> np.ndarray:
        if starts is None:
            starts = np.arange(0, max(len(ids) - BLOCK, 1), BLOCK)
            starts = starts[:: max(len(starts) // 512, 1)]
        blocks = ids[starts[:, None] + np.arange(min(BLOCK + 1, len(ids)))]
        return compiled(blocks[:, :-1], blocks[:, 1:]).mean(axis=-1)

    return block_losses


class Writer:
    """Writes text with the network, several characters in one compiled call.

    Args:
        network: as above.
        chunk: characters in a call.
    """

    def __init__(self, network: Any, chunk: int = 64):
        import_keras()
        from keras import layers, ops

        from shared.training.steps import compile_step

        self.chunk = chunk
        self.symbols = network.output_shape[-1]
        self._embedding = network.get_layer("symbols")
        self._head = network.get_layer("head")
        self._cells = [layer.cell for layer in network.layers if isinstance(layer, layers.LSTM)]
        sizes = [size for cell in self._cells for size in cell.state_size]
        self._empty_memory = [ops.zeros((1, size), network.compute_dtype) for size in sizes]
        self._write_chunk = compile_step(self._steps, network, jit_compile=True)

    def write(
        self,
        prompt: np.ndarray,
        length: int,
        rng: np.random.Generator,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> Iterator[Piece]:
        """Yield the prompt without its first character, then `length` new ones, with their log-probabilities.

        The prompt's characters are not chosen, but scored. Log-probabilities are those of temperature 1. All random
        numbers come from `rng`, so that a seed writes the same text on every backend, rounding aside.

        Args:
            prompt: ids, at least one.
            length: new characters.
            rng: the source of chance.
            temperature: above 1 bolder, below 1 more cautious.
            top_k: choose among that many most likely symbols; 0 for all.
            top_p: choose among the most likely symbols that together have this probability.
        """
        from keras import ops

        state = [ops.convert_to_tensor(prompt[0], "int32"), ops.zeros(()), *self._empty_memory]
        total = len(prompt) - 1 + length
        given = np.full(total + self.chunk, -1, np.int32)  # -1: to be chosen
        given[: len(prompt) - 1] = prompt[1:]
        # arrays, because Python numbers would be compiled in: one value for each step
        temperatures = np.full(self.chunk, temperature, np.float32)
        top_ps = np.full(self.chunk, top_p, np.float32)
        top_ks = np.full(self.chunk, top_k or self.symbols, np.int32)
        for start in range(0, total, self.chunk):
            chances = rng.random(self.chunk, np.float32)
            chunk = given[start : start + self.chunk]
            ids, scores, state = self._write_chunk(state, chunk, chances, temperatures, top_ks, top_ps)
            yield np.asarray(ids)[: total - start], np.asarray(scores)[: total - start]

    def _steps(self, state: list, *inputs: Any) -> tuple:
        """One step after the other: ids and scores (chunk,) each, and the last state."""
        from keras import ops

        state, (ids, scores, *_) = ops.scan(self._step, state, inputs)
        return ids, scores, state

    def _step(self, state: list, inputs: tuple) -> tuple[list, list]:
        """Read a character, and choose the next one through the network's own layers and cells."""
        from keras import ops

        previous, _, *memory = state
        given, chance, temperature, top_k, top_p = inputs
        x = self._embedding(ops.reshape(previous, (1,)))  # (1, embedding)
        new_memory = []
        for n, cell in enumerate(self._cells):
            x, states = cell(x, memory[2 * n : 2 * n + 2])
            new_memory += states
        logits = self._embedding(self._head(x), reverse=True)[0]  # (symbols,)
        chosen = ops.where(given >= 0, given, draw_likely(logits / temperature, chance, top_k, top_p))
        state = [chosen, ops.take(ops.log_softmax(logits), chosen), *new_memory]
        return state, state


def joined(pieces: Iterable[Piece]) -> Piece:
    """All pieces of a text as one."""
    ids, scores = zip(*pieces, strict=True)
    return np.concatenate(ids), np.concatenate(scores)
