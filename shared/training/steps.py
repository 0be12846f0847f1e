"""One update of the weights, written once as if everything were stateful, compiled for TensorFlow and for JAX.

    def update(real, z):  # (B, H, W, 3), (B, latent)
        loss, grads = value_and_grad(lambda: critic_loss(real, generator(z, training=True)), critic.trainable_variables)
        optimizer.apply(grads, critic.trainable_variables)
        return {"loss": loss}

    step = compile_step(update, generator, critic, optimizer)  # the owners of ALL state that is read or written
    logs = step(*shard(real, z))

TensorFlow runs it as a tf.function, on every replica of a strategy where the batch is split. JAX runs a pure function
from the state to the new state. Both give the same numbers. A batch that was not split is computed on one device.
Traced code is not rewritten: branch with `keras.ops.cond`, not with `if`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
from keras import ops

from shared.training.adam import Adam

if keras.backend.backend() == "tensorflow":
    from shared.training import steps_tensorflow as backend
elif keras.backend.backend() == "jax":
    from shared.training import steps_jax as backend  # type: ignore[no-redef]  # with the same functions
else:
    raise ImportError(f"shared.training.steps needs KERAS_BACKEND=tensorflow or jax, not {keras.backend.backend()}")


def value_and_grad(loss_fn: Callable[[], Any], variables: Iterable[keras.Variable]) -> tuple[Any, list]:
    """Return what `loss_fn()` returned, and the gradient of the loss for each of `variables`.

    `loss_fn` computes a scalar: the mean over the batch. It may return a tuple that begins with the loss, to hand out
    more of what it computed. Everything that the gradient should reach is computed inside it. BatchNorm statistics and
    random seeds that it advances stay advanced. A variable that the loss does not reach has a gradient of zeros.

    Gradients are dense, an Embedding's too: Keras' Adam squares the repeated rows of a sparse one one by one. On n
    TensorFlow replicas they are this replica's share, 1/n, because Keras optimizers add the shares up.
    """
    return backend.value_and_grad(lambda: _with_loss(loss_fn()), list(variables))


def input_gradient(loss_fn: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """Return what `loss_fn(x)` returned, and the gradient of the loss for the floating-point tensor `x`, in its shape.

    As in `value_and_grad`, `loss_fn` returns a scalar or a tuple that begins with it. Inside another `loss_fn` this is
    a second-order gradient, as a gradient penalty needs.
    """
    x = _as_tensor(x)
    if "float" not in _dtype(x):
        raise TypeError(f"input_gradient needs a floating-point x, and this one is {_dtype(x)}: cast it first")
    return backend.input_gradient(lambda x: _with_loss(loss_fn(x)), x)


def compile_step(fn: Callable, *owners: Any, jit_compile: bool = False) -> Callable:
    """Compile `fn(*batch) -> logs` into a step that updates the variables of its `owners`.

    Args:
        fn: the update. It returns a dict (or any nest) of tensors. Over replicas, scalars are averaged, and tensors
            with a batch axis are joined in the order of the batch.
        owners: models, layers, optimizers, metrics, SeedGenerators, variables, or lists of those, all built: every
            one whose variables `fn` reads or writes.
        jit_compile: XLA on TensorFlow: measure before turning it on. JAX always uses XLA.

    Raises:
        ValueError: an owner is not built, or is one that a compiled step cannot run.
        RuntimeError: at the first call, naming each variable whose owner was left out. (JAX would freeze it as a
            constant without a word and TensorFlow would not: one program, two meanings.)
    """
    state = list({id(v): v for v in _variables(owners)}.values())
    if keras.backend.backend() == "tensorflow" and replicas() > 1:
        _refuse_unreplicable(owners)
    return backend.compile_step(fn, state, jit_compile, _refuse_strangers)


def shard(*batch: Any) -> tuple:
    """Turn a batch of arrays (or nests of them) into tensors, split along the first axis over the replicas, if any.

    Each array is split into equal blocks, in order; a number goes to every replica. float64 becomes Keras' float type.
    Replicas share their seeds: draw noise on the host, and shard it with the data.
    """
    return keras.tree.map_structure(_place, batch)


def replicas() -> int:
    """How many devices share a batch that was split by `shard`: those of all processes."""
    return backend.replicas()


def _place(x: Any) -> Any:
    x, count = _as_tensor(x), replicas()
    if count == 1 or ops.ndim(x) == 0:
        return x
    if len(x) % count:
        from shared.errors import UserError

        raise UserError(f"a batch of {len(x)} does not split over {count} replicas: choose a multiple.")
    return backend.split(x)


def _as_tensor(x: Any) -> Any:
    x = ops.convert_to_tensor(x)
    return ops.cast(x, keras.config.floatx()) if _dtype(x) == "float64" else x


def _dtype(x: Any) -> str:
    return keras.backend.standardize_dtype(x.dtype)


def _with_loss(out: Any) -> tuple[Any, Any]:
    loss = out[0] if isinstance(out, tuple) else out
    if ops.ndim(loss) != 0:
        raise ValueError(f"loss_fn must return a scalar loss, and this one has shape {tuple(ops.shape(loss))}")
    return loss, out


# --------------------------------------------------------------------------------------------------- Guards


def _variables(owner: Any) -> list[keras.Variable]:
    if isinstance(owner, keras.Variable):
        return [owner]
    if isinstance(owner, keras.random.SeedGenerator):
        return [owner.state]
    if isinstance(owner, (list, tuple)):
        return [v for part in owner for v in _variables(part)]
    kind, name = type(owner).__name__, getattr(owner, "name", "")
    if not hasattr(owner, "variables"):
        raise TypeError(f"compile_step() takes models, layers, optimizers, metrics and SeedGenerators, not a {kind}")
    if isinstance(owner, keras.optimizers.LossScaleOptimizer):
        raise ValueError("compile_step() does not run a LossScaleOptimizer: use mixed_bfloat16, not mixed_float16")
    if not getattr(owner, "built", True):
        is_optimizer = isinstance(owner, keras.optimizers.Optimizer)
        how = "with optimizer.build(model.trainable_variables)" if is_optimizer else "by calling it on a small batch"
        raise ValueError(f"{kind} {name!r} has no variables yet: build it before compile_step(), {how}")
    return owner.variables


def _refuse_unreplicable(owners: Any) -> None:
    for owner in keras.tree.flatten(owners):
        clips = any(getattr(owner, clip, None) for clip in ("clipnorm", "global_clipnorm", "clipvalue"))
        if clips and not isinstance(owner, Adam):
            raise ValueError(
                f"{owner.name} clips gradients, and on several TensorFlow replicas it would clip each one's share "
                "before they are added up: train on one replica, or without clipping"
            )


def _refuse_strangers(variables: Iterable[keras.Variable]) -> None:
    if paths := sorted(v.path for v in variables):
        more = f" and {len(paths) - 8} more" if len(paths) > 8 else ""
        raise RuntimeError(
            f"the step uses {', '.join(paths[:8])}{more}, but compile_step() was not given the owner: pass every "
            "model, optimizer, metric and SeedGenerator whose variables the step reads or writes, each built before"
        )
