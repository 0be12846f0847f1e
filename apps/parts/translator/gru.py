"""What came before the transformer, for comparison: the recurrent network of 2016."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.data.vocabulary import PAD
from shared.layers.transformer import BlockConfig, token_table

if TYPE_CHECKING:
    import keras


def gru_network(
    tokens: int, units: int, encoder_layers: int, decoder_layers: int, dropout: float, dtype: str = "float32"
) -> keras.Model:
    """The inputs and outputs of the transformer by recurrent layers, with Bahdanau's attention.

    Wu et al. 2016, arXiv:1609.08144: the first layer that writes asks where to look, and the others get what it saw.
    """
    import keras
    from keras import layers, ops

    kind = {"dtype": dtype}
    sources = keras.Input((None,), dtype="int32", name="sources")
    ids = keras.Input((None,), dtype="int32", name="ids")
    table = token_table(tokens, BlockConfig(units, heads=1, hidden=1, dtype=dtype))

    is_token = ops.not_equal(sources, PAD)  # (batch, time)
    memory = layers.Dropout(dropout, **kind)(layers.Rescaling(units**0.5, **kind)(table(sources)))
    for _ in range(encoder_layers):
        recurrent = layers.GRU(units // 2, return_sequences=True, **kind)
        memory = layers.Bidirectional(recurrent, **kind)(memory, mask=is_token)  # (batch, time, units)
        memory = layers.Dropout(dropout, **kind)(memory)
    x = layers.Rescaling(units**0.5, **kind)(table(ids))
    query = layers.GRU(units, return_sequences=True, **kind)(x)
    context = layers.AdditiveAttention(**kind)([query, memory], mask=[None, is_token])
    for _ in range(decoder_layers):
        x = layers.Concatenate(**kind)([query, context])
        query = layers.GRU(units, return_sequences=True, **kind)(layers.Dropout(dropout, **kind)(x))
    x = layers.Dense(units, "tanh", **kind)(layers.Concatenate(**kind)([query, context]))
    return keras.Model([sources, ids], table(x, reverse=True), name="translator")
