"""A network that is asked why: its answers, their gradients for pixels and for the maps of a layer, and its ReLUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.classifiers.metrics import softmax
from shared.errors import UserError, suggest
from shared.training.inference import in_batches

if TYPE_CHECKING:
    import keras


class Asked:
    """A network and a question: why this class, and not that one?

    The question is a vector with a weight for each output. The score is the logits' sum with these weights: the logit
    of `why`, less that of `against` if there is one.

    Args:
        network: RGB pixels 0..255, float32 (batch, height, width, 3) -> logits (batch, classes).
        why: a class.
        against: another class, or None.
        layer: the name of the layer whose maps Grad-CAM takes; by default the last one that has places.
        batch: photos in a compiled call.
    """

    def __init__(
        self, network: keras.Model, why: int, against: int | None = None, layer: str | None = None, batch: int = 32
    ):
        self.network, self.why, self.against, self.batch = network, why, against, batch
        self.layer = layer
        self._steps: dict[str, Callable] = {}
        self._places: list[tuple[Any, tuple[int, ...]]] = []

    def about(self, why: int, against: int | None = None) -> Asked:
        """The same network, asked about other classes; what is compiled stays so."""
        asked = Asked(self.network, why, against, self.layer, self.batch)
        asked._steps, asked._places = self._steps, self._places
        return asked

    def at(self, side: int) -> Asked:
        """The same network for photos of another side (larger: its maps have more places); UserError if it cannot."""
        import keras

        if side == self.shape[0]:
            return self
        try:
            network = keras.models.clone_model(self.network, input_tensors=keras.Input((side, side, 3)))
            network.set_weights(self.network.get_weights())
        except ValueError as error:
            raise UserError(
                f"{self.network.name} takes photos of {self.shape[0]} pixels only: leave --side out."
            ) from error
        return Asked(network, self.why, self.against, self.layer, self.batch)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a photo: (height, width, 3)."""
        return self.network.input_shape[1:]

    @property
    def question(self) -> np.ndarray:
        """The weight of each output, float32 (classes,)."""
        weights = np.zeros(self.network.output_shape[-1], np.float32)
        weights[self.why] = 1
        if self.against is not None:
            weights[self.against] -= 1
        return weights

    def answers(self, photos: np.ndarray) -> np.ndarray:
        """The probability of `why`, (n,): among all classes, or between it and `against`."""
        logits = self.logits(photos)
        chosen = slice(None) if self.against is None else [self.why, self.against]
        return softmax(logits[:, chosen])[:, self.why if self.against is None else 0]

    def scores(self, photos: np.ndarray) -> np.ndarray:
        """The score of each photo, (n,)."""
        return self.logits(photos) @ self.question

    def logits(self, photos: np.ndarray) -> np.ndarray:
        """The network's outputs, (n, classes)."""
        return self._run("logits", lambda x, q: self.network(x, training=False), photos)

    def gradients(self, photos: np.ndarray) -> np.ndarray:
        """The gradient of the score for the pixels, float32 in the shape of the photos."""
        return self._run("gradients", self._gradient, photos)

    def guided_gradients(self, photos: np.ndarray) -> np.ndarray:
        """The same, where every ReLU lets back only what is positive (guided back-propagation)."""
        with ExitStack() as stack:
            for layer in leaves(self.network):
                if guided := _guided_call(layer):
                    stack.enter_context(replaced_call(layer, guided))
            return self._run("guided", self._gradient, photos)

    def maps(self, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The chosen layer's maps for a photo, and the gradient of the score for them, both (rows, columns, maps)."""
        seen: list[Any] = []
        tapped, shape = self._tapped_with_shape
        zeros = np.zeros((1, *shape), np.float32)

        def step(x: Any, q: Any, change: Any) -> tuple[Any, Any]:
            from shared.training.steps import input_gradient

            def score(change: Any) -> tuple[Any, Any]:
                call = tapped.call

                def changed(*inputs: Any, **options: Any) -> Any:
                    seen[:] = [call(*inputs, **options)]
                    return seen[0] + change

                with replaced_call(tapped, changed):
                    found = self._score(x, q)
                return found, seen[0]

            (_, maps), gradient = input_gradient(score, change)
            return maps, gradient

        found = self._compiled(f"maps {tapped.name}", step)(photo[None].astype(np.float32), self.question, zeros)
        maps, gradient = (np.asarray(part, np.float32)[0] for part in found)
        return maps, gradient

    @property
    def tapped(self) -> Any:
        """The layer whose maps are taken."""
        return self._tapped_with_shape[0]

    @property
    def _tapped_with_shape(self) -> tuple[Any, tuple[int, ...]]:
        if not self._places:
            self._places.extend(layers_with_places(self.network))
        shapes = self._places
        if not shapes:
            raise UserError(f"{self.network.name} has no layer of maps with places, such as a convolution.")
        names = [layer.name for layer, _ in shapes]
        if self.layer is None:
            return shapes[-1]
        if self.layer not in names:
            near = suggest(self.layer, names) or f" The last ones are {', '.join(names[-5:])}."
            raise UserError(f"{self.network.name} has no layer {self.layer} of maps with places.{near}")
        return shapes[names.index(self.layer)]

    def _score(self, x: Any, q: Any) -> Any:
        from keras import ops

        return ops.sum(ops.matmul(ops.cast(self.network(x, training=False), "float32"), q[:, None]))

    def _gradient(self, x: Any, q: Any) -> Any:
        from shared.training.steps import input_gradient

        return input_gradient(lambda x: self._score(x, q), x)[1]

    def _compiled(self, name: str, function: Callable) -> Callable:
        from shared.training.steps import compile_step

        return self._steps.setdefault(name, compile_step(function, self.network))

    def _run(self, name: str, function: Callable, photos: np.ndarray) -> np.ndarray:
        step, question = self._compiled(name, function), self.question
        batch = 1 if len(photos) == 1 else self.batch
        return in_batches(lambda x: np.asarray(step(x.astype(np.float32), question)), batch, photos)


# --------------------------------------------------------------------------------------------------------- Layers


def leaves(network: keras.Model) -> Iterator[Any]:
    """All layers, those of networks inside the network, too, but not these networks themselves."""
    for layer in network.layers:
        if getattr(layer, "layers", None):
            yield from leaves(layer)
        else:
            yield layer


@contextmanager
def replaced_call(layer: Any, call: Callable) -> Iterator[None]:
    """What a layer computes is something else inside this block: how a function is compiled with another backward pass.

    It works for layers at any depth, where a new network from the layer's output would be a disconnected graph.
    """
    before = layer.call
    object.__setattr__(layer, "call", call)
    try:
        yield
    finally:
        object.__setattr__(layer, "call", before)


def layers_with_places(network: keras.Model) -> list[tuple[Any, tuple[int, ...]]]:
    """The layers that give maps of more than one place, in the order of their work, with shapes (h, w, maps)."""
    found: list[tuple[Any, tuple[int, ...]]] = []

    def watching(layer: Any) -> Callable:
        call = layer.call

        def watched(*inputs: Any, **options: Any) -> Any:
            given = call(*inputs, **options)
            shape = tuple(getattr(given, "shape", ()))
            if len(shape) == 4 and shape[1] > 1 and shape[2] > 1 and shape[3] > 3:
                found.append((layer, shape[1:]))
            return given

        return watched

    with ExitStack() as stack:
        for layer in leaves(network):
            if type(layer).__name__ != "InputLayer":
                stack.enter_context(replaced_call(layer, watching(layer)))
        network(np.zeros((1, *network.input_shape[1:]), np.float32), training=False)
    return found


def _guided_call(layer: Any) -> Callable | None:
    """What a layer that ends in a ReLU computes, with the guided backward pass; None for other layers."""
    import keras
    from keras import ops

    if isinstance(layer, keras.layers.ReLU):
        top = layer.max_value
        return lambda x: guided_relu(x) if top is None else ops.minimum(guided_relu(x), top)
    if getattr(layer, "activation", None) is keras.activations.relu:
        call = layer.call

        def without_activation(*inputs: Any, **options: Any) -> Any:
            layer.activation = keras.activations.linear
            try:
                return guided_relu(call(*inputs, **options))
            finally:
                layer.activation = keras.activations.relu

        return without_activation
    return None


def guided_relu(x: Any) -> Any:
    """max(x, 0), through which only what raises the score flows back (Springenberg et al. 2015, arXiv:1412.6806)."""
    from keras import ops

    @ops.custom_gradient
    def relu(x: Any) -> Any:
        def backward(*arguments: Any, upstream: Any = None) -> Any:
            upstream = arguments[0] if upstream is None else upstream
            return ops.where(x > 0, ops.maximum(upstream, 0.0), 0.0)

        return ops.maximum(x, 0.0), backward

    return relu(x)
