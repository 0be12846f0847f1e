"""Breakout plays itself: a network that learned Atari games from the screen alone.

It learns by PQN, parallel Q-learning, although the file's name and the fame are DQN's: PQN needs neither replay buffer
nor target network, and on two CPU cores it passes a human's 30.5 points after 11 minutes, when DQN has 15.

    python apps/dqn_breakout.py                          plays a game and films it
    python apps/dqn_breakout.py --game space_invaders    plays another game
    python apps/dqn_breakout.py train --quick            learns Breakout from scratch in minutes
    python apps/dqn_breakout.py evaluate                 recomputes the numbers of the model card

Method: Q-learning on raw pixels (Mnih et al. 2015, "Human-level control through deep reinforcement learning"). The
default, `pqn` (Gallici et al. 2024, arXiv:2407.04811), learns from many games in parallel, and layer norms before the
last layers keep it stable. `--algorithm dqn` is Mnih's, with double Q-learning (van Hasselt et al. 2016).
Measured: 344 points at Breakout (a human: 30.5) by the Nature protocol, after 143 minutes on busy CPU cores.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.dqn_breakout.film import film_game
from apps.parts.dqn_breakout.replay import ReplayBuffer
from apps.parts.dqn_breakout.report import print_game, print_published, print_scores, training_summary, validation_score
from apps.parts.dqn_breakout.scores import STICKY
from apps.parts.dqn_breakout.window import Window
from shared import cli, saved_models, settings
from shared.atari.agents import load_network, policy_of
from shared.atari.games import OBSERVATION, STEPS_PER_SECOND, Games, check_game, epsilon_greedy
from shared.atari.recording import record_game
from shared.data.prefetch import prefetch
from shared.drawing.film import Film
from shared.errors import UserError, in_range
from shared.files import output_path
from shared.settings import Range, Settings, Training
from shared.training import custom_loop, devices
from shared.training.optimizers import adam, averaged

if TYPE_CHECKING:
    import keras

APP = "dqn_breakout"


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Play(Settings):
    """Play a game with a trained network and film it."""

    game: str = "breakout"
    """ROM name of the game, in snake_case."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/ for this game."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the film goes: a .webp or .gif file; by default outputs/dqn_breakout/GAME.webp."""
    episodes: Annotated[int, Range(1, 1000)] = 1
    """Games to play; the best one is filmed."""
    seed: Annotated[int, Range(0, 2**31 - 2000)] = 1
    """Seed of the emulator and of exploration: the same seed gives the same games."""
    epsilon: Annotated[float, Range(0, 1)] = 0.01
    """Probability of a random action at each step."""
    sticky: Annotated[float, Range(0, 1)] = 0.0
    """Probability that the emulator repeats the previous action instead (0.25 in Machado et al. 2018)."""
    watch: bool = False
    """Also show the game in a window, at the film's speed."""


@dataclass
class Train(Training):
    """Learn a game from scratch; the network with the best evaluation is saved as RUN/model.keras."""

    QUICK: ClassVar = {"steps": 400_000, "evaluate_every": 200_000, "average": 20_000}

    run: Path = Path("outputs/dqn_breakout/train")
    game: str = "breakout"
    """ROM name of any Atari game that ale-py has."""
    algorithm: Literal["pqn", "dqn"] = "pqn"
    """pqn: parallel Q-learning without replay buffer. dqn: with replay buffer and target network."""
    steps: Annotated[int, Range(1, 10**12)] = 10_000_000
    """Agent steps to learn for (4 emulator frames each); exploration and learning rate are annealed over them."""
    environments: Annotated[int, Range(1, 65_536)] = 128
    """Games played in parallel."""
    sticky_games: Annotated[float, Range(0, 1)] = 0.0
    """Share of the games with sticky actions (probability 0.25); with any, evaluations average both protocols."""
    learning_rate: Annotated[float, Range(1e-9, 1e6)] = 2.5e-4
    """Adam's step size at the start; it falls linearly to zero."""
    discount: Annotated[float, Range(0, 1)] = 0.99
    """Discount factor for each agent step."""
    batch: Annotated[int, Range(1, 65_536)] = 128
    """Transitions in one update."""
    exploration: Annotated[float, Range(1e-9, 1e6)] = 0.1
    """Share of STEPS over which epsilon falls from 1 to its final value."""
    epsilon: Annotated[float, Range(0, 1)] = 0.01
    """Final probability of a random action."""
    rollout: Annotated[int, Range(1, 65_536)] = 16
    """Agent steps of each game between two rounds of learning."""
    epochs: Annotated[int, Range(1, 65_536)] = 2
    """pqn: passes over each rollout."""
    trace: Annotated[float, Range(0, 1)] = 0.65
    """pqn: lambda of the Q(lambda) targets: 0 bootstraps after one step, 1 only at the end of the rollout."""
    replay: Annotated[int, Range(8, 5_000_000)] = 400_000
    """dqn: capacity of the replay buffer in transitions, of 7,063 bytes each."""
    replay_ratio: Annotated[float, Range(1e-9, 1e6)] = 4.0
    """dqn: transitions learned from per agent step (8 in Mnih et al. 2015)."""
    targets: Literal["double", "single"] = "double"
    """dqn: the action that the target network evaluates is chosen by the network (double) or by itself (single)."""
    warm_up: Annotated[int, Range(2, 5_000_000)] = 20_000
    """dqn: agent steps played before learning begins."""
    target_every: Annotated[int, Range(1, 10**12)] = 2_000
    """dqn: agent steps between two updates of the target network."""
    average: Annotated[int, Range(1, 10**12)] = 100_000
    """Agent steps over which the weights are averaged, for evaluation and for the saved model."""
    evaluate_every: Annotated[int, Range(1, 10**12)] = 500_000
    """Agent steps between two evaluations (32 games, Nature protocol)."""
    checkpoint_minutes: Annotated[float, Range(1e-9, 1e6)] = 2.0
    """Minutes between two checkpoints."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's table: two protocols, each over the first game of each of 100 environments."""

    game: str = "breakout"
    """ROM name of the game."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/ for this game."""
    games: Annotated[int, Range(1, 1000)] = 100
    """Games for each protocol."""
    seed: Annotated[int, Range(0, 2**31 - 2000)] = 1000
    """Seed of the first environment; each further one has the next number."""


# ------------------------------------------------------------------------------------------------------- Network


def q_network(actions: int) -> keras.Model:
    """Mnih et al.'s network with two layer norms: uint8 frames (batch, 84, 84, 4) -> Q-values float32 (batch, actions).

    Normalising the dense layers' inputs keeps Q-learning stable without a target network (Gallici et al. 2024). Norms
    after every convolution, as in that paper, learn no better here and cost half of the speed on a CPU.
    """
    import keras
    from keras import layers

    frames = keras.Input((84, 84, 4), dtype="uint8", name="frames")
    x = layers.Rescaling(1 / 255)(frames)
    for filters, size, stride in ((32, 8, 4), (64, 4, 2), (64, 3, 1)):
        x = layers.Conv2D(filters, size, stride, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.LayerNormalization()(layers.Flatten()(x))  # (batch, 7 * 7 * 64)
    x = layers.LayerNormalization()(layers.Dense(512, kernel_initializer="he_normal")(x))
    values = layers.Dense(actions, dtype="float32", name="values")(layers.ReLU()(x))
    return keras.Model(frames, values)


# ------------------------------------------------------------------------------------------------------ Learning


def q_update(network: keras.Model, optimizer: Any) -> Callable[..., Any]:
    """One gradient step of Q(state, action) towards a target; a transition of weight 0 does not count."""
    from keras import ops

    from shared.training.steps import value_and_grad

    def update(frames, actions, targets, weights):  # (batch, 84, 84, 4), then (batch,) each
        def loss():
            values = network(frames, training=True)  # (batch, actions)
            chosen = ops.sum(values * ops.one_hot(actions, values.shape[-1]), axis=-1)  # (batch,)
            return ops.mean(weights * ops.square(chosen - targets))

        value, gradients = value_and_grad(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        return value

    return update


def averaging_adam(config: Train) -> keras.optimizers.Optimizer:
    """Adam with a moving average of the weights, which scores far above the weights of any one moment."""
    samples_a_step = config.epochs if config.algorithm == "pqn" else config.replay_ratio
    updates = config.average * samples_a_step / config.batch
    return adam(averaged_over=updates, epsilon=1e-5, global_clipnorm=10.0)


def anneal(config: Train, optimizer: Any, steps: int) -> float:
    """Set the learning rate for these agent steps, and return epsilon: both fall linearly."""
    warm_up = min((steps + 1) / 40_000, 1.0)  # until Adam's second moments are known
    optimizer.learning_rate = config.learning_rate * warm_up * max(1 - steps / config.steps, 0.0)
    return max(1 - (1 - config.epsilon) * steps / (config.exploration * config.steps), config.epsilon)


def pqn(config: Train, games: Games, network: keras.Model, optimizer: Any, steps: int) -> custom_loop.Learner:
    """Parallel Q-learning (Gallici et al. 2024): play a short rollout of many games, learn from it, discard it."""
    from shared.training.steps import compile_step, shard

    rng = np.random.default_rng([config.seed, steps])  # anew on resume, as the emulators are
    policy = policy_of(network)
    update = compile_step(q_update(network, optimizer), network, optimizer)
    shape = (config.rollout, config.environments)
    frames = np.zeros((*shape, *OBSERVATION), np.uint8)
    actions = np.zeros(shape, np.int32)
    rewards, terminal, values, weights = (np.zeros(shape, np.float32) for _ in range(4))
    while True:
        epsilon = anneal(config, optimizer, steps)
        for t in range(config.rollout):
            q_values = policy(games.observations)  # (games, actions)
            frames[t] = games.observations
            values[t] = q_values.max(axis=-1)
            weights[t] = ~games.ignored
            actions[t] = epsilon_greedy(q_values, epsilon, rng)
            step = games.step(actions[t])
            rewards[t] = np.clip(step.rewards, -1, 1)
            terminal[t] = step.terminal
        last_values = policy(games.observations).max(axis=-1)
        targets = q_lambda(rewards, terminal, weights, values, last_values, config.discount, config.trace)
        data = [array.reshape(-1, *array.shape[2:]) for array in (frames, actions, targets, weights)]
        order = np.concatenate([rng.permutation(targets.size) for _ in range(config.epochs)]).reshape(-1, config.batch)
        batches = prefetch(tuple(array[chosen] for array in data) for chosen in order)
        losses = [update(*shard(*batch)) for batch in batches]
        steps += targets.size
        yield steps, {"loss": np.mean(losses), "value": values.mean(), "training_score": games.mean_score}


def q_lambda(rewards, terminal, weights, values, last_values, discount: float, trace: float) -> np.ndarray:
    """Targets of Q(lambda), (time, games): n-step returns of every n, averaged (Peng & Williams 1996).

    All arrays are (time, games), but `last_values`, (games,): the values of the states after the last step. `values`
    are the largest Q-values of each state. A return never crosses a reset (weight 0): another game follows it.
    """
    targets = np.empty_like(rewards)
    next_return = next_values = last_values  # of the step after this one
    mix = np.zeros_like(last_values)  # share of the return in what follows; the rest is bootstrapped
    for t in reversed(range(len(rewards))):
        following = (1 - mix) * next_values + mix * next_return
        targets[t] = rewards[t] + discount * (1 - terminal[t]) * following
        next_return = targets[t]
        next_values = values[t]
        mix = trace * weights[t]
    return targets


def dqn_update(config: Train, network: keras.Model, target: keras.Model, optimizer: Any) -> Callable[..., Any]:
    """One gradient step towards rewards + discount * the target network's value of the next state."""
    from keras import ops

    update = q_update(network, optimizer)

    def learn(frames, actions, rewards, next_frames, terminal, weights):
        values = target(next_frames)  # (batch, actions)
        selector = network(next_frames) if config.targets == "double" else values  # van Hasselt et al. 2016, eq. 4
        selected = ops.one_hot(ops.argmax(selector, axis=-1), values.shape[-1])
        next_values = ops.sum(values * selected, axis=-1)  # (batch,)
        return update(frames, actions, rewards + config.discount * (1 - terminal) * next_values, weights)

    return learn


def dqn(config: Train, games: Games, network: keras.Model, optimizer: Any, steps: int) -> custom_loop.Learner:
    """Deep Q-network (Mnih et al. 2015): learn from a replay buffer, towards the values of a target network."""
    from shared.training.steps import compile_step, shard

    rng = np.random.default_rng([config.seed, steps])  # anew on resume, as the emulators and the buffer are
    policy = policy_of(network)
    target = q_network(games.actions)
    target.set_weights(network.get_weights())
    update = compile_step(dqn_update(config, network, target, optimizer), network, target, optimizer)
    buffer = ReplayBuffer(config.replay, games.count)
    losses: deque[Any] = deque(maxlen=100)
    updates_due = 0.0
    while True:
        epsilon = anneal(config, optimizer, steps)
        for _ in range(config.rollout):
            observations = games.observations
            values = policy(observations)
            actions = epsilon_greedy(values, epsilon, rng)
            step = games.step(actions)
            buffer.add(observations, actions, np.clip(step.rewards, -1, 1), step.terminal, step.ended)
            steps += games.count
            if len(buffer) < config.warm_up:
                continue
            if steps // config.target_every > (steps - games.count) // config.target_every:
                target.set_weights(network.get_weights())
            updates_due += games.count * config.replay_ratio / config.batch
        batches = prefetch(buffer.sample(config.batch, rng) for _ in range(int(updates_due)))
        losses.extend(update(*shard(*batch)) for batch in batches)
        updates_due %= 1
        value = float(values.max(axis=-1).mean())
        yield steps, {"loss": float(np.mean(losses or 0.0)), "value": value, "training_score": games.mean_score}


# ------------------------------------------------------------------------------------------------------ Training


def checked(config: Train) -> Train:
    """The settings to train with, or a UserError."""
    config = settings.resumed(config)
    check_game(config.game)
    played = config.environments * config.rollout
    if played % config.batch:
        raise UserError(f"--batch {config.batch} must divide --environments times --rollout, {played}.")
    in_range("--environments times --rollout", played, 1, 65_536)  # the screens take 1.8 GB
    in_range("--replay", config.replay, 8 * config.environments, 5_000_000)
    in_range("--warm-up", config.warm_up, 2 * config.environments, config.replay - config.environments)
    return settings.begin(config)


def fit(config: Train) -> float:
    """The training itself; returns the best evaluation's mean score."""
    sticky, share = STICKY.sticky, config.sticky_games
    games = Games(config.game, config.environments, seed=config.seed, sticky=sticky, sticky_games=share)
    network = q_network(games.actions)
    optimizer = averaging_adam(config)
    optimizer.build(network.trainable_variables)
    policy = policy_of(network)
    if config.init and not config.resume:
        saved_models.start_from(network, config.init, game=config.game)

    @averaged(network, optimizer)
    def validate() -> float:
        return validation_score(policy, config.game, config.seed + 10_000, config.sticky_games > 0)

    @averaged(network, optimizer)
    def save_best(steps: int, score: float) -> None:
        saved_models.save(network, config.run, asdict(config) | {"trained_steps": steps, "score": score})

    return custom_loop.train(
        partial(pqn if config.algorithm == "pqn" else dqn, config, games, network, optimizer),
        {"network": network, "optimizer": optimizer},
        validate,
        save_best,
        config.run,
        total=config.steps,
        unit="agent steps",
        validate_every=config.evaluate_every,
        resume=config.resume,
        checkpoint_minutes=config.checkpoint_minutes,
        plot=(("training_score", "score"), "loss", "value"),
    )


# -------------------------------------------------------------------------------------------------------- Verbs


def train(config: Train) -> None:
    """Learn a game from scratch; Ctrl-C saves, --resume goes on."""
    config = checked(config)
    with devices.training(config):
        best = fit(config)
    print(f"Best evaluation: {best:.1f} points. The model and its curve are in {config.run}.")
    print(f"Watch it play: python apps/{APP}.py --game {config.game} --model {config.run}")


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's table: 100 games by each of two protocols, and how long the training took."""
    print_scores(policy_of(load_network(config.game, config.model)), config.game, config.games, config.seed)
    print(training_summary(config.game, config.model or saved_models.MODELS / f"dqn_{config.game}"))


def play(config: Play) -> None:
    """Play, choose the best game, and film it in colour with the network's Q-values beside it."""
    path = output_path(config.output, APP, f"{config.game}.webp")
    Film(path, fps=STEPS_PER_SECOND)  # a wrong ending is refused before the game, not after it
    with Window(config.game) if config.watch else nullcontext() as window:
        policy = policy_of(load_network(config.game, config.model))
        games = []
        for seed in range(config.seed, config.seed + config.episodes):
            game = record_game(policy, config.game, seed=seed, epsilon=config.epsilon, sticky=config.sticky)
            print_game(game)
            games.append(game)
        print_published(config.game)
        best = max(games, key=lambda game: game.score)
        speed = film_game(best, path, window.show if window else None)
    print(f"Film of the game of seed {best.seed}, at {speed} times its speed: {path}")
    print(f"Try next: python apps/{APP}.py --game space_invaders, or: python apps/{APP}.py train --quick")


if __name__ == "__main__":
    cli.run(__doc__, play, {"train": train, "evaluate": evaluate})
