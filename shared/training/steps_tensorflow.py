"""The TensorFlow half of steps.py: GradientTape, tf.function, and a strategy's replicas."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from numbers import Number
from typing import Any

import keras
import tensorflow as tf

from shared.console import held_stderr


def value_and_grad(loss_fn: Callable[[], tuple], variables: list[keras.Variable]) -> tuple[Any, list]:
    """`loss_fn` returns (loss, out). Return out and the gradients, dense, as this replica's share."""
    weights = [v.value for v in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        loss, out = loss_fn()
        share = loss / (1 if tf.distribute.in_cross_replica_context() else replicas())
    return out, _gradients(tape, share, weights)


def input_gradient(loss_fn: Callable[[Any], tuple], x: tf.Tensor) -> tuple[Any, tf.Tensor]:
    """`loss_fn` returns (loss, out). Return out and dloss/dx."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        loss, out = loss_fn(x)
    return out, _gradients(tape, loss, [x])[0]


def _gradients(tape: tf.GradientTape, loss: tf.Tensor, targets: list) -> list[tf.Tensor]:
    gradients = tape.gradient(loss, targets)
    if targets and all(g is None for g in gradients):
        raise ValueError("the loss depends on nothing that its gradient is asked for: compute it all inside loss_fn")
    return [_dense(g, t) for g, t in zip(gradients, targets, strict=True)]


def _dense(gradient: tf.Tensor | tf.IndexedSlices | None, target: Any) -> tf.Tensor:
    if gradient is None:
        return tf.zeros_like(target)
    if isinstance(gradient, tf.IndexedSlices):
        return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, target.shape[0])
    return gradient


def compile_step(
    fn: Callable, state: list[keras.Variable], jit_compile: bool, refuse: Callable[[Iterable[keras.Variable]], None]
) -> Callable:
    """Compile `fn`; `refuse` gets the variables that it uses and `state` lacks, each time that it is traced."""
    strategy = tf.distribute.get_strategy()

    def traced(*batch):
        is_split = any(isinstance(x, tf.distribute.DistributedValues) for x in tf.nest.flatten(batch))
        logs = strategy.run(fn, args=batch) if is_split else fn(*batch)
        refuse(_strangers(tf.compat.v1.get_default_graph(), state))
        return tf.nest.map_structure(_merge, logs) if is_split else logs

    # TensorFlow counts how often functions with the same code are traced, and would warn of ten models in one process
    compiled = tf.function(partial(traced), jit_compile=jit_compile, autograph=False, reduce_retracing=True)
    calls = itertools.count()

    def step(*batch):  # a Python number would be a constant of the graph, traced anew for every value
        quiet = held_stderr() if next(calls) == 0 else nullcontext()  # it prints every fusion that it cannot make
        with quiet:
            return compiled(*(tf.convert_to_tensor(x) if isinstance(x, Number) else x for x in batch))

    return step


def _strangers(graph: Any, state: list[keras.Variable]) -> list[keras.Variable]:
    """The Keras variables whose handles the graph captured, to read or to write them, and `state` lacks."""
    captured = {id(outside) for outside, _ in graph.captures if outside.dtype == tf.resource}
    unknown = captured - {id(handle) for v in state for handle in _handles(v)}
    if not unknown:
        return []
    alive = (v for v in gc.get_objects() if issubclass(type(v), keras.Variable))  # a graph knows handles, not names
    return [v for v in alive if any(id(handle) in unknown for handle in _handles(v))]


def _handles(variable: keras.Variable) -> list[tf.Tensor]:
    copies = tf.distribute.get_strategy().experimental_local_results(variable.value)
    return [copy.handle for copy in copies if hasattr(copy, "handle")]


def replicas() -> int:
    """How many replicas the current strategy has."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def split(x: tf.Tensor) -> Any:
    """Give each replica its block of `x`."""
    blocks = tf.split(x, replicas())
    strategy = tf.distribute.get_strategy()
    return strategy.experimental_distribute_values_from_function(lambda c: blocks[c.replica_id_in_sync_group])


def _merge(value: Any) -> Any:
    """Average a scalar over the replicas, join anything else along its first axis."""
    strategy = tf.distribute.get_strategy()
    parts = strategy.experimental_local_results(value)
    if value is None or parts[0].shape.rank == 0:
        return None if value is None else strategy.reduce("MEAN", value, axis=None)
    return strategy.gather(value, axis=0)
