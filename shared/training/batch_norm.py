"""Batch normalisation that learns the same as Keras' own, in one pass over memory."""

from __future__ import annotations

from typing import Any

import keras


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation (arXiv:1502.03167), by TensorFlow's own kernel while it learns.

    Keras composes it, and so its gradient, of a dozen operations in float32, each of which goes through the whole array
    of feature maps. The kernel goes through them twice and reads bfloat16. JAX compiles the dozen into one by itself.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise feature maps, (batch, height, width, channels); all else as Keras does."""
        if not (training and self.trainable and mask is None and self._has_a_kernel(inputs)):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        normalised, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma, "float32"),
            offset=tf.convert_to_tensor(self.beta, "float32"),
            mean=tf.zeros(0),
            variance=tf.zeros(0),
            epsilon=self.epsilon,
        )
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], "float32")
        biased = variance * (count - 1) / count  # the kernel divides by count - 1, Keras by count
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, biased)):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return normalised

    def _has_a_kernel(self, inputs: Any) -> bool:
        usual = self.scale and self.center and not self.renorm and not self.synchronized
        last = self.axis in (-1, len(inputs.shape) - 1)
        return keras.backend.backend() == "tensorflow" and usual and last and len(inputs.shape) == 4


def fused(network: keras.Model) -> keras.Model:
    """The same network with the same weights, to be trained faster; save its weights in the one that was given."""

    def copy(layer: keras.Layer) -> keras.Layer:
        kind = FusedBatchNormalization if type(layer) is keras.layers.BatchNormalization else type(layer)
        return kind.from_config(layer.get_config())

    faster = keras.models.clone_model(network, clone_function=copy)
    faster.set_weights(network.get_weights())
    return faster
