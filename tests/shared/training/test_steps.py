"""The compiled step means the same on TensorFlow and on JAX, on one device and on two, and says what it needs."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # two processes, one a backend, run every scenario first
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # six SGD updates in float32; sums are taken in another order


def same_numbers(one, other):
    __tracebackhide__ = True
    np.testing.assert_allclose(one["state"], other["state"], **CLOSE)
    for a, b in zip(one["logs"], other["logs"], strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_allclose(a[name], b[name], **CLOSE, err_msg=name)


def test_tensorflow_and_jax_give_the_same_numbers(results):
    same_numbers(*results("gan"))


def test_the_pair_learns(here):
    first, *_, last = here("gan")["logs"]
    assert last["d_loss"] < first["d_loss"] - 0.1


def test_two_devices_equal_one(here):
    assert here("gan_on_two_replicas")["replicas"] == 2
    same_numbers(here("gan_on_two_replicas"), here("gan"))


def test_xla_gives_the_same_numbers(here):
    same_numbers(here("gan_with_xla"), here("gan"))


def test_bfloat16_stays_close(here):
    for low, full in zip(here("gan_in_bfloat16")["logs"], here("gan")["logs"], strict=True):
        assert low["d_loss"] == pytest.approx(full["d_loss"], rel=0.02)


@pytest.mark.parametrize(
    ("owner", "variable"),
    [
        ("generator", "batch_normalization"),
        ("critic", "/kernel"),
        ("optimizer", "d_opt/iteration"),
        ("written", "counter"),
        ("seed", "seed_generator_state"),
        ("in a branch", "branch/kernel"),
    ],
)
def test_an_owner_left_out_is_named(here, owner, variable):
    error = here("left_out")[owner]
    assert error.startswith("RuntimeError: the step uses ")
    assert variable in error
    assert "compile_step() was not given the owner" in error


def test_a_refused_step_has_written_nothing(here):
    assert here("left_out")["counter"] == "0.0"


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("unbuilt layer", "build it before compile_step(), by calling it on a small batch"),
        ("unbuilt optimizer", "with optimizer.build(model.trainable_variables)"),
        ("loss scaling", "use mixed_bfloat16"),
        ("not an owner", "TypeError: compile_step() takes models, "),
        ("vector loss", "must return a scalar loss, and this one has shape (3,)"),
        ("integer x", "TypeError: input_gradient needs a floating-point x"),
        ("uneven batch", "UserError: a batch of 3 does not split over 2 replicas"),
    ],
)
def test_refusals_say_what_to_do(here, case, sentence):
    assert sentence in here("refused")[case]


def test_many_networks_in_one_process_are_no_reason_to_warn(here):
    assert here("warned_of") == {"said": [], "answers": [2.0 * n for n in range(10)]}


def test_clipping_over_replicas_is_right_or_refused(results):
    tensorflow, jax = results("clipping_on_two_replicas")
    assert "clips gradients" in tensorflow
    assert jax is True


def test_noise_metrics_and_strangers_on_two_replicas(here):
    outcome = here("noise_and_metric_on_two_replicas")
    assert outcome["seed"] == [7, 3]
    assert outcome["mean"] == 65.0  # of 2, 4, ..., 128: each example counted once
    assert 0.2 < outcome["zeros"] < 0.8
    assert "the step uses stranger," in outcome["left out"]


def test_an_embedding_gets_adams_own_step(here):
    outcome = here("embedding_with_adam")
    assert outcome["grad"] == [0.0, 3.0, 1.0]
    np.testing.assert_allclose(outcome["moved"], outcome["expected"], rtol=1e-4)


@pytest.mark.parametrize(
    ("case", "close"),
    [("plain", 1e-6), ("no momentum", 1e-6), ("decayed and clipped", 1e-6), ("amsgrad", 0), ("bfloat16", 0.02)],
)
def test_adam_in_one_pass_has_keras_numbers(here, case, close):
    for ours, theirs in zip(*here("adam_in_one_pass")[case], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=close, atol=close)


def test_adam_in_one_pass_on_two_replicas(here):
    np.testing.assert_allclose(here("adam_on_two_replicas")["two"], here("adam_on_two_replicas")["one"], **CLOSE)


def test_input_gradient_equals_finite_differences(here):
    outcome = here("gradient_of_input")
    np.testing.assert_allclose(outcome["eager"], outcome["differences"], atol=1e-4)
    np.testing.assert_allclose(outcome["compiled"], outcome["eager"], atol=1e-6)


def test_a_gradient_penalty_is_second_order(here):
    outcome = here("gradient_of_input")
    np.testing.assert_allclose(outcome["penalty"], outcome["penalty differences"], atol=1e-3)


def test_seeds_and_statistics_advance_inside_a_gradient(here):
    outcome = here("seeds_and_statistics")
    runs = [outcome[name] for name in ("step 1", "step 2", "eager")]
    assert [outcome["before"], *(run["seed"] for run in runs)] == [[7, 0], [7, 1], [7, 2], [7, 3]]
    assert len({tuple(run["mean"]) for run in runs}) == 3
    assert all(0.5 < np.mean(run["mean"]) < 4 for run in runs)  # on the way from 0 to the data's 3


def test_buffers_are_nobody_elses(here):
    outcome = here("buffers")
    assert outcome["differences"] == pytest.approx([1.0, 3.0])
    assert outcome["taken is unchanged"]
    assert outcome["given is unchanged"]
    assert outcome["online"] == pytest.approx(5.0, rel=1e-5)
