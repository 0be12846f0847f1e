"""Transformer blocks made of Keras' own layers, and a decoder that runs one token at a time with a key-value cache.

Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762, normalised before each part (Xiong et al. 2020,
arXiv:2002.04745). A page joins the blocks to a network, a functional graph for whole rows of tokens, to train and to
ship. A decoder reads [inputs ..., ids] and gives logits; to write, `CachedDecoder` takes its layers by their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


# -------------------------------------------------------------------------------------------------------- Blocks


@dataclass(frozen=True)
class BlockConfig:
    """What all blocks of a network have in common."""

    units: int
    """Size of each token's vector."""
    heads: int
    """Heads of each attention."""
    hidden: int
    """Size between the two dense layers of a block."""
    dropout: float = 0.0
    """Share of what each part of a block adds that is left out in training."""
    dtype: str = "float32"
    """Policy of the layers; the weights are float32."""


def token_table(tokens: int, config: BlockConfig) -> keras.layers.ReversibleEmbedding:
    """A vector for each token of the vocabulary: `table(ids)` looks vectors up, `table(x, reverse=True)` gives logits.

    One table for what is read and what is written: Press & Wolf 2017, arXiv:1608.05859.
    """
    from keras import initializers, layers

    spread = initializers.RandomNormal(stddev=config.units**-0.5)
    return layers.ReversibleEmbedding(
        tokens, config.units, embeddings_initializer=spread, name="words", dtype=config.dtype
    )


def embed(
    ids: Any, positions: Any, table: keras.layers.ReversibleEmbedding, config: BlockConfig, part: str = ""
) -> Any:
    """The sum of each token's vector and its position's, (batch, time, units).

    Positions are one-hot (batch, time, longest), for a dense layer, not ids for an embedding: Adam on TensorFlow takes
    an embedding's repeated rows one by one. The layers' names begin with `part`, which is empty for a decoder.
    """
    from keras import layers

    kind = {"dtype": config.dtype}
    position = layers.Dense(config.units, use_bias=False, name=f"{part}places", **kind)(positions)
    token = layers.Rescaling(config.units**0.5, name=f"{part}scale", **kind)(table(ids))
    return layers.Dropout(config.dropout, **kind)(layers.Add(**kind)([token, position]))


def packed_rows(ids: Any, start: int, longest: int) -> tuple[Any, Any]:
    """The causal mask and the positions of rows that hold several sequences one behind the other.

    Each `start` in ids (batch, time) begins a sequence, whose tokens see those before them in it, and no others.

    Returns:
        The mask for self-attention, bool (batch, time, time); positions in the sequence, one-hot (batch, time,
        longest).
    """
    from keras import ops

    sequence = ops.cumsum(ops.cast(ops.equal(ids, start), "int32"), axis=1)
    order = ops.cumsum(ops.ones_like(ids), axis=1)
    same = ops.equal(ops.expand_dims(sequence, 2), ops.expand_dims(sequence, 1))
    mask = ops.logical_and(same, ops.greater_equal(ops.expand_dims(order, 2), ops.expand_dims(order, 1)))
    position = ops.subtract(ops.sum(ops.cast(mask, "int32"), axis=2), 1)
    return mask, ops.one_hot(position, longest)


def transformer_block(
    n: int | str, x: Any, mask: Any, config: BlockConfig, memory: Any = None, memory_mask: Any = None
) -> Any:
    """Block `n` of a decoder: self-attention, attention to the memory, two dense layers.

    Without a memory it is a block of an encoder.

    Args:
        n: ends the names of the layers: in a decoder the number of the block, from 0.
        x: (batch, time, units).
        mask: which tokens each token sees, bool (batch, time or 1, time).
        memory: what a decoder writes about: an encoded sentence, a photo's features, (batch, cells, units).
        memory_mask: which cells of the memory are not padding, bool (batch, 1, cells).
    """
    from keras import layers

    kind = {"dtype": config.dtype}
    depth = config.units // config.heads  # of a head

    def normalised(x: Any, name: str) -> Any:
        return layers.LayerNormalization(name=f"norm_{name}_{n}", **kind)(x)

    def added(x: Any, part: Any) -> Any:
        return layers.Add(**kind)([x, layers.Dropout(config.dropout, **kind)(part)])

    h = normalised(x, "self")
    self_attention = layers.MultiHeadAttention(config.heads, depth, name=f"self_{n}", **kind)
    x = added(x, self_attention(h, h, attention_mask=mask))
    if memory is not None:
        h = normalised(x, "look")
        cross_attention = layers.MultiHeadAttention(config.heads, depth, name=f"look_{n}", **kind)
        # With the scores among its outputs, `attention_maps` finds them in a model that was loaded from a file.
        x = added(x, cross_attention(h, memory, attention_mask=memory_mask, return_attention_scores=True)[0])
    h = layers.Dense(config.hidden, "gelu", name=f"wide_{n}", **kind)(normalised(x, "dense"))
    return added(x, layers.Dense(config.units, name=f"narrow_{n}", **kind)(h))


def attention_maps(decoder: keras.Model) -> keras.Model:
    """The inputs of a decoder -> attention of its last block to the memory, (batch, time, cells), mean over heads."""
    import keras
    from keras import ops

    _, scores = decoder.get_layer(f"look_{_blocks(decoder) - 1}").output  # (batch, heads, time, cells)
    return keras.Model(decoder.inputs, ops.mean(scores, axis=1))


def _blocks(decoder: keras.Model) -> int:
    return sum(layer.name.startswith("look_") for layer in decoder.layers)


# ----------------------------------------------------------------------------------------------- Token by token


class CachedDecoder:
    """A decoder one token at a time: keys and values of the tokens before are kept, not computed again.

    "Rows" are the sequences that are being written: several for each input, those of one input side by side.

    Args:
        decoder: a model [inputs ..., ids] -> logits made of the parts above, whose layer "memory" gives the memory, and
            "norm" what the table turns into logits; it may come from a file. One input is called "ids"; the memory is
            made of those before it.
    """

    def __init__(self, decoder: keras.Model):
        import keras

        self.layer = decoder.get_layer
        self.blocks = _blocks(decoder)
        self.longest = self.layer("places").kernel.shape[0]
        self.dtype = self.layer("norm").compute_dtype
        before = [x.name for x in decoder.inputs].index("ids")
        self.memory = keras.Model(decoder.inputs[:before], self.layer("memory").output)

    def begin(self, inputs: Any, rows: int, memory_mask: Any = None) -> tuple[list[tuple], list]:
        """What every step attends to in the memory of `inputs`; and the empty key-value cache for `rows` of each.

        `memory_mask` is that of `transformer_block`.
        """
        from keras import ops, tree

        memory = self.memory(tree.flatten(inputs), training=False)  # (inputs, cells, units)
        mask = None if memory_mask is None else memory_mask[:, None]  # (inputs, 1, 1, cells)
        memory_cache, kv_cache = [], []
        for n in range(self.blocks):
            cross, own = self.layer(f"look_{n}"), self.layer(f"self_{n}")
            memory_cache.append((cross.key_dense(memory), cross.value_dense(memory), mask))
            shape = memory.shape[0] * rows, self.longest, own.num_heads, own.key_dim
            kv_cache += [ops.zeros(shape, self.dtype), ops.zeros(shape, self.dtype)]
        return memory_cache, kv_cache

    def step(self, memory_cache: list[tuple], kv_cache: list, ids: Any, position: Any) -> tuple[Any, list]:
        """Logits (rows, tokens) of what follows ids (rows,) at a position, and the key-value cache from now on."""
        from keras import ops

        layer = self.layer
        kv_cache = list(kv_cache)
        now = np.arange(self.longest) == position  # (longest,)
        past = np.arange(self.longest) <= position
        place = layer("places")(ops.cast(now, self.dtype)[None, None])
        x = layer("scale")(layer("words")(ids[:, None])) + place  # (rows, 1, units)
        for n in range(self.blocks):
            own = layer(f"self_{n}")
            h = layer(f"norm_self_{n}")(x)
            for i, dense in ((2 * n, own.key_dense), (2 * n + 1, own.value_dense)):
                kv_cache[i] = ops.where(now[:, None, None], dense(h), kv_cache[i])
            x = x + _attend(own, h, kv_cache[2 * n], kv_cache[2 * n + 1], past)
            keys, values, mask = memory_cache[n]
            h = ops.reshape(layer(f"norm_look_{n}")(x), (keys.shape[0], -1, x.shape[-1]))  # (inputs, rows each, units)
            x = x + ops.reshape(_attend(layer(f"look_{n}"), h, keys, values, mask), ops.shape(x))
            x = x + layer(f"narrow_{n}")(layer(f"wide_{n}")(layer(f"norm_dense_{n}")(x)))
        return layer("words")(layer("norm")(x), reverse=True)[:, 0], kv_cache


def _attend(attention: keras.layers.MultiHeadAttention, x: Any, keys: Any, values: Any, mask: Any) -> Any:
    """What the layer does, with keys and values (batch, time, heads, depth) that are there already."""
    from keras import ops

    query = attention.query_dense(x)
    scores = ops.einsum("bqhd,bkhd->bhqk", query, keys) * attention.key_dim**-0.5
    if mask is not None:
        scores = ops.where(mask, scores, -1e9)
    return attention.output_dense(ops.einsum("bhqk,bkhd->bqhd", ops.softmax(scores), values))
