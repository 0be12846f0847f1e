"""The JAX half of steps.py: pure functions of the state, in which a Keras scope stands in for the variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import keras


class _Scope(keras.StatelessScope):
    """Holds the variables' values while a function is traced; notes what was updated and what it was not given.

    A gradient's scope lies `inside` the step's and reads there what it does not hold: Keras' own scopes do not chain.
    """

    def __init__(self, variables: list[keras.Variable], values: list, inside: bool):
        super().__init__(list(zip(variables, values, strict=True)), collect_losses=True)
        self.inside = inside
        self.updated: dict[int, keras.Variable] = {}
        self.strangers: dict[int, keras.Variable] = {}

    def get_current_value(self, variable: keras.Variable) -> jax.Array | None:
        value = super().get_current_value(variable)
        if value is None and self.inside and self.original_scope is not None:
            value = self.original_scope.get_current_value(variable)
        if value is None:  # Keras then reads the variable itself: right outside a step, a frozen constant within one
            self.strangers[id(variable)] = variable
        return value

    def add_update(self, update: tuple[keras.Variable, jax.Array]) -> None:
        variable, _ = update
        self.get_current_value(variable)
        self.updated[id(variable)] = variable
        super().add_update(update)


def value_and_grad(loss_fn: Callable[[], tuple], variables: list[keras.Variable]) -> tuple[Any, list[jax.Array]]:
    """`loss_fn` returns (loss, out). Return out and the gradients."""
    return _gradients(lambda _: loss_fn(), [v.value for v in variables], variables)


def input_gradient(loss_fn: Callable[[Any], tuple], x: jax.Array) -> tuple[Any, jax.Array]:
    """`loss_fn` returns (loss, out). Return out and dloss/dx."""
    out, gradient = _gradients(loss_fn, x, [])
    return out, gradient


def _gradients(loss_fn: Callable[[Any], tuple], at: Any, variables: list[keras.Variable]) -> tuple[Any, Any]:
    updated: list[keras.Variable] = []

    def pure(at):
        with _Scope(variables, at if variables else [], inside=True) as scope:
            loss, out = loss_fn(at)
        updated[:] = scope.updated.values()
        return loss, (out, [scope.get_current_value(v) for v in updated])

    (_, (out, values)), gradients = jax.value_and_grad(pure, has_aux=True)(at)
    for variable, value in zip(updated, values, strict=True):  # statistics and seeds, handed back to the step
        variable.assign(value)
    return out, gradients


def compile_step(
    fn: Callable, state: list[keras.Variable], jit_compile: bool, refuse: Callable[[Iterable[keras.Variable]], None]
) -> Callable:
    """Compile `fn`, always with XLA; `refuse` gets the variables that it uses and `state` lacks."""

    def pure(values, *batch):
        with _Scope(state, values, inside=False) as scope:
            try:
                logs = fn(*batch)
            finally:  # a stranger is also the likely cause of an error
                refuse(scope.strangers.values())
        return logs, [scope.get_current_value(v) for v in state]

    compiled = jax.jit(pure, donate_argnums=0)

    def step(*batch):
        logs, values = compiled(_unshared([v.value for v in state]), *batch)
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        return logs

    return step


def _unshared(values: list[jax.Array]) -> list[jax.Array]:
    """Copy what two variables share, as after `target.assign(online.value)`: one buffer cannot be donated twice."""
    first: dict[int, int] = {}
    return [x if first.setdefault(id(x), i) == i else jax.numpy.copy(x) for i, x in enumerate(values)]


def replicas() -> int:
    """How many replicas the current distribution has."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.num_model_replicas


def split(x: jax.Array) -> jax.Array:
    """Give each replica its block of `x`."""
    layout = keras.distribution.distribution().get_data_layout(x.shape).backend_layout
    return jax.make_array_from_callback(x.shape, layout, lambda rows: x[rows])
