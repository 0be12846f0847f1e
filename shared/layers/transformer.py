"""A transformer that says something about features of a photo, word by word, made of Keras' own layers only.

`caption_decoder` builds it as a graph for whole rows of words, to train and to ship; `Stepwise` runs the same layers
one word at a time, to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shared.data.vocabulary import START

if TYPE_CHECKING:
    import keras


def caption_decoder(
    words: int,
    features: int,
    *,
    size: int = 256,
    layers: int = 2,
    heads: int = 4,
    hidden: int = 512,
    longest: int = 24,
    dropout: float = 0.0,
    dtype: str = "float32",
) -> keras.Model:
    """[features float32 (batch, cells, features), ids int32 (batch, time)] -> logits (batch, time, words).

    Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762, normalised before each part (Xiong et al. 2020,
    arXiv:2002.04745), with one table for the words that are read and written (Press & Wolf 2017, arXiv:1608.05859). A
    row of ids may hold several captions one behind the other: each START begins one, which sees only itself.

    Args:
        words: size of the vocabulary, the special ids included.
        features: of each cell of the photo.
        size: of each word's vector.
        layers: blocks of self-attention, attention to the photo, and two dense layers.
        heads: of each attention.
        hidden: size between the two dense layers.
        longest: places of a caption.
        dropout: share of features, and of what each part adds, that is left out in training.
        dtype: policy of the layers; weights are float32.
    """
    import keras
    from keras import layers as kl

    kind = {"dtype": dtype}
    seen = keras.Input((None, features), dtype="float32", name="features")
    ids = keras.Input((None,), dtype="int32", name="ids")
    cells = kl.Dense(size, name="cells", **kind)(kl.Dropout(dropout, **kind)(seen))
    memory = kl.LayerNormalization(name="memory", **kind)(cells)
    visible, places = _layout(ids, longest)
    spread = keras.initializers.RandomNormal(stddev=size**-0.5)
    table = kl.ReversibleEmbedding(words, size, embeddings_initializer=spread, name="words", **kind)
    place = kl.Dense(size, use_bias=False, name="places", **kind)(places)
    x = kl.Add(**kind)([kl.Rescaling(size**0.5, name="scale", **kind)(table(ids)), place])
    x = kl.Dropout(dropout, **kind)(x)

    def add(x: Any, part: Any) -> Any:
        return kl.Add(**kind)([x, kl.Dropout(dropout, **kind)(part)])

    for n in range(layers):
        h = kl.LayerNormalization(name=f"norm_self_{n}", **kind)(x)
        h = kl.MultiHeadAttention(heads, size // heads, name=f"self_{n}", **kind)(h, h, attention_mask=visible)
        x = add(x, h)
        h = kl.LayerNormalization(name=f"norm_look_{n}", **kind)(x)
        look = kl.MultiHeadAttention(heads, size // heads, name=f"look_{n}", **kind)
        x = add(x, look(h, memory, return_attention_scores=True)[0])
        h = kl.LayerNormalization(name=f"norm_dense_{n}", **kind)(x)
        h = kl.Dense(hidden, "gelu", name=f"wide_{n}", **kind)(h)
        x = add(x, kl.Dense(size, name=f"narrow_{n}", **kind)(h))
    x = kl.LayerNormalization(name="norm", **kind)(x)
    return keras.Model([seen, ids], table(x, reverse=True), name="decoder")


def _layout(ids: Any, longest: int) -> tuple[Any, Any]:
    """Which ids each id sees, bool (batch, time, time), and its place in its caption, one-hot (batch, time, longest).

    One-hot for a dense layer, not an embedding: Adam on TensorFlow takes an embedding's repeated rows one by one.
    """
    from keras import ops

    caption = ops.cumsum(ops.cast(ops.equal(ids, START), "int32"), axis=1)
    order = ops.cumsum(ops.ones_like(ids), axis=1)
    same = ops.equal(ops.expand_dims(caption, 2), ops.expand_dims(caption, 1))
    visible = ops.logical_and(same, ops.greater_equal(ops.expand_dims(order, 2), ops.expand_dims(order, 1)))
    place = ops.subtract(ops.sum(ops.cast(visible, "int32"), axis=2), 1)
    return visible, ops.one_hot(place, longest)


class Stepwise:
    """A decoder one word at a time: what it computed for the words before is kept, not computed again.

    "Rows" are captions that are being written: `beams` for each photo, one photo's rows side by side.

    Args:
        decoder: made by `caption_decoder`, or loaded.
    """

    def __init__(self, decoder: keras.Model):
        self.layer = decoder.get_layer
        self.blocks = sum(layer.name.startswith("look_") for layer in decoder.layers)
        self.longest = self.layer("places").kernel.shape[0]
        self.dtype = decoder.layers[-1].compute_dtype

    def begin(self, features: Any, beams: int) -> tuple[list, list]:
        """What a step needs, of features (photos, cells, features): keys and values of the photos, and kept ones."""
        from keras import ops

        memory = self.layer("memory")(self.layer("cells")(features))
        photos, kept = [], []
        for n in range(self.blocks):
            look, own = self.layer(f"look_{n}"), self.layer(f"self_{n}")
            photos += [look.key_dense(memory), look.value_dense(memory)]  # (photos, cells, heads, depth)
            shape = features.shape[0] * beams, self.longest, own.num_heads, own.key_dim
            kept += [ops.zeros(shape, self.dtype), ops.zeros(shape, self.dtype)]
        return photos, kept

    def step(self, photos: list, kept: list, ids: Any, at: Any) -> tuple[Any, list]:
        """Logits (rows, words) of what follows ids (rows,) that stand at place `at`; and what is kept from now on."""
        from keras import ops

        layer, kept = self.layer, list(kept)
        now, past = np.arange(self.longest) == at, np.arange(self.longest) <= at  # (longest,)
        place = layer("places")(ops.cast(now, self.dtype)[None, None])
        x = layer("scale")(layer("words")(ids[:, None])) + place  # (rows, 1, size)
        for n in range(self.blocks):
            own, look = layer(f"self_{n}"), layer(f"look_{n}")
            h = layer(f"norm_self_{n}")(x)
            for i, dense in ((2 * n, own.key_dense), (2 * n + 1, own.value_dense)):
                kept[i] = ops.where(now[:, None, None], dense(h), kept[i])
            x = x + _attend(own, own.query_dense(h), kept[2 * n], kept[2 * n + 1], past)
            keys, values = photos[2 * n : 2 * n + 2]
            h = ops.reshape(layer(f"norm_look_{n}")(x), (keys.shape[0], -1, x.shape[-1]))  # (photos, beams, size)
            x = x + ops.reshape(_attend(look, look.query_dense(h), keys, values), ops.shape(x))
            x = x + layer(f"narrow_{n}")(layer(f"wide_{n}")(layer(f"norm_dense_{n}")(x)))
        return layer("words")(layer("norm")(x), reverse=True)[:, 0], kept


def _attend(attention: Any, query: Any, keys: Any, values: Any, allowed: Any = None) -> Any:
    """What `keras.layers.MultiHeadAttention` does after its first dense layers, of (batch, time, heads, depth)."""
    from keras import ops

    scores = ops.einsum("bqhd,bkhd->bhqk", query, keys) * attention.key_dim**-0.5
    if allowed is not None:
        scores = ops.where(allowed, scores, -1e9)
    return attention.output_dense(ops.einsum("bhqk,bkhd->bqhd", ops.softmax(scores), values))


def attention_maps(decoder: keras.Model) -> keras.Model:
    """[features, ids] -> where the last block looks for each next word, (batch, time, cells), mean over its heads."""
    import keras
    from keras import ops

    last = Stepwise(decoder).blocks - 1
    _, scores = decoder.get_layer(f"look_{last}").output  # (batch, heads, time, cells)
    return keras.Model(decoder.inputs, ops.mean(scores, axis=1))
