"""Breakout plays itself: a network that learned Atari games from the screen alone.

    python apps/dqn_breakout.py                          plays a game and films it
    python apps/dqn_breakout.py --game space_invaders    another game of the box
    python apps/dqn_breakout.py train --quick            learns Breakout from scratch in minutes
    python apps/dqn_breakout.py evaluate                 recomputes the numbers of the model card

Method: Q-learning on raw pixels (Mnih et al. 2015, "Human-level control through deep reinforcement learning"). The
default, `pqn`, is parallel Q-learning without replay or target network (Gallici et al. 2024, arXiv:2407.04811): a layer
norm before the last layers keeps it stable. `dqn` is Mnih's, with Double Q-learning (van Hasselt et al. 2016).
Measured: 344 points at Breakout (a human: 30.5) by the Nature protocol, after 143 minutes on busy CPU cores.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.dqn_breakout.replay import Replay
from apps.parts.dqn_breakout.window import Window
from shared import cli, saved_models, settings
from shared.atari.film import film_game, play_game
from shared.atari.games import OBSERVATION, STEPS_PER_SECOND, Games, Policy, action_names, check_game, epsilon_greedy
from shared.atari.scores import NATURE, RANDOM_HUMAN_DQN, STICKY, human_normalised, protocol_scores, training_story
from shared.console import say
from shared.data.prefetch import ahead
from shared.drawing.film import Film
from shared.errors import UserError, in_range
from shared.files import output_path
from shared.training import custom_loop, devices
from shared.training.optimizers import averaged

if TYPE_CHECKING:
    import keras

APP = "dqn_breakout"


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Play:
    """Play a game with a trained network and film it."""

    game: str = "breakout"
    """ROM name of the game, in snake_case."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/ for this game."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the film goes: a .webp or .gif file; by default outputs/dqn_breakout/GAME.webp."""
    episodes: int = 1
    """Games to play; the best one is filmed."""
    seed: int = 1
    """Seed of the emulator and of exploration: the same seed plays the same games."""
    epsilon: float = 0.01
    """Probability of a random action at each step."""
    sticky: float = 0.0
    """Probability that the emulator repeats the previous action instead (0.25 in Machado et al. 2018)."""
    watch: bool = False
    """Also show the game in a window, at the film's speed."""


@dataclass
class Train:
    """Learn a game from scratch; the best network by evaluation is kept in RUN/model.keras."""

    game: str = "breakout"
    """ROM name of any Atari game that ale-py has."""
    run: Path = Path("outputs/dqn_breakout/train")
    """Folder for the model, the metrics, the curve and the checkpoints."""
    resume: bool = False
    """Go on with the run in RUN, with the settings it was started with."""
    init: Path | None = None
    """Start from the weights of this model (file or folder) instead of random ones."""
    quick: bool = False
    """A short run: visibly better than random after about 5 minutes on 2 cores."""
    algorithm: Literal["pqn", "dqn"] = "pqn"
    """pqn: parallel Q-learning without replay. dqn: replay and target network."""
    steps: int = 10_000_000
    """Agent steps to learn for (4 emulator frames each); exploration and learning rate are annealed over them."""
    environments: int = 128
    """Games played side by side."""
    seed: int = 1
    """Seed of weights, games and exploration."""
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    """auto takes mixed_bfloat16 where the processor is fast at it."""
    learning_rate: float = 2.5e-4
    """Adam's step size at the start; it falls linearly to zero."""
    discount: float = 0.99
    """Worth of a point one agent step later."""
    batch: int = 128
    """Transitions in one update."""
    exploration: float = 0.1
    """Share of STEPS over which epsilon falls from 1 to its final value."""
    epsilon: float = 0.01
    """Final probability of a random action."""
    rollout: int = 16
    """Agent steps of each game between two rounds of learning."""
    epochs: int = 2
    """pqn: passes over each rollout."""
    trace: float = 0.65
    """pqn: lambda, how far rewards reach back before the network's own estimate takes over."""
    replay: int = 400_000
    """dqn: transitions kept, 7,063 bytes each."""
    replay_ratio: float = 4.0
    """dqn: transitions learned from per agent step (8 in Mnih et al. 2015)."""
    targets: Literal["double", "single"] = "double"
    """dqn: who chooses the action that the target network values: the network, or (Mnih et al. 2015) it itself."""
    warm_up: int = 20_000
    """dqn: agent steps played before learning begins."""
    target_every: int = 2_000
    """dqn: agent steps between two copies to the target network."""
    average: int = 100_000
    """Agent steps over which the weights are averaged, for evaluation and for the saved model."""
    evaluate_every: int = 500_000
    """Agent steps between two evaluations (32 games, Nature protocol)."""
    checkpoint_minutes: float = 2.0
    """Minutes between two checkpoints."""


@dataclass
class Evaluate:
    """Recompute the model card's table: two protocols, the first game of each of 100 environments."""

    game: str = "breakout"
    """ROM name of the game."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/ for this game."""
    games: int = 100
    """Games a protocol."""
    seed: int = 1000
    """Seed of the first environment; the next ones count up."""


# ------------------------------------------------------------------------------------------------------- Network


def q_network(actions: int) -> keras.Model:
    """Mnih et al.'s network with two layer norms: uint8 frames (batch, 84, 84, 4) -> Q-values float32 (batch, actions).

    Normalising the two dense inputs is what keeps Q-learning stable without a target network (Gallici et al. 2024);
    norms after every convolution, as in that paper, learn no better here and cost half of the speed on a CPU.
    """
    import keras
    from keras import layers

    frames = x = keras.Input((84, 84, 4), dtype="uint8", name="frames")
    x = layers.Rescaling(1 / 255)(x)
    for filters, size, stride in ((32, 8, 4), (64, 4, 2), (64, 3, 1)):
        x = layers.Conv2D(filters, size, stride, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.LayerNormalization()(layers.Flatten()(x))  # (batch, 7 * 7 * 64)
    x = layers.LayerNormalization()(layers.Dense(512, kernel_initializer="he_normal")(x))
    values = layers.Dense(actions, dtype="float32", name="values")(layers.ReLU()(x))
    return keras.Model(frames, values)


def policy_of(network: keras.Model) -> Policy:
    """The network as a compiled function from numpy observations to numpy Q-values."""
    from shared.training.steps import compile_step

    infer = compile_step(lambda frames: network(frames, training=False), network)
    return lambda observations: np.asarray(infer(observations))


# ------------------------------------------------------------------------------------------------------ Learning


def q_update(config: Train, network: keras.Model, optimizer: Any) -> Callable[..., Any]:
    """One gradient step of Q(state, action) towards a target; weight 0 leaves a transition out."""
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
    """Adam that keeps a moving average of the weights: it scores far above any one moment's weights."""
    from shared.training.adam import Adam

    samples_a_step = config.epochs if config.algorithm == "pqn" else config.replay_ratio
    updates = config.average * samples_a_step / config.batch
    return Adam(epsilon=1e-5, global_clipnorm=10.0, use_ema=True, ema_momentum=max(1 - 1 / updates, 0.0))


def anneal(config: Train, optimizer: Any, steps: int) -> float:
    """Set the learning rate for these agent steps, and return epsilon: both fall linearly."""
    warm_up = min((steps + 1) / 40_000, 1.0)  # Adam's second moments need a moment
    optimizer.learning_rate = config.learning_rate * warm_up * max(1 - steps / config.steps, 0.0)
    return max(1 - (1 - config.epsilon) * steps / (config.exploration * config.steps), config.epsilon)


def pqn(
    config: Train, games: Games, network: keras.Model, optimizer: Any, rng: np.random.Generator, steps: int
) -> Iterator[tuple[int, dict[str, float]]]:
    """Parallel Q-learning: play a short rollout in many games, learn from it, forget it (Gallici et al. 2024)."""
    from shared.training.steps import compile_step, shard

    policy = policy_of(network)
    update = compile_step(q_update(config, network, optimizer), network, optimizer)
    time_games = (config.rollout, config.environments)
    frames = np.zeros((*time_games, *OBSERVATION), np.uint8)
    actions, rewards = np.zeros(time_games, np.int32), np.zeros(time_games, np.float32)
    terminal, weights, best = (np.zeros(time_games, np.float32) for _ in range(3))
    while True:
        epsilon = anneal(config, optimizer, steps)
        for t in range(config.rollout):
            values = policy(games.observations)
            frames[t], best[t], weights[t] = games.observations, values.max(axis=-1), ~games.ignored
            actions[t] = epsilon_greedy(values, epsilon, rng)
            step = games.step(actions[t])
            rewards[t], terminal[t] = np.clip(step.rewards, -1, 1), step.terminal
        after = policy(games.observations).max(axis=-1)
        targets = q_lambda(rewards, terminal, weights, best, after, config.discount, config.trace)
        data = [array.reshape(-1, *array.shape[2:]) for array in (frames, actions, targets, weights)]
        order = np.concatenate([rng.permutation(best.size) for _ in range(config.epochs)]).reshape(-1, config.batch)
        batches = ahead(shard(*(array[chosen] for array in data)) for chosen in order)
        losses = [update(*batch) for batch in batches]
        steps += best.size
        yield steps, {"loss": np.mean(losses), "value": best.mean(), "training_score": games.mean_score}


def q_lambda(rewards, terminal, weights, best, after, discount: float, trace: float) -> np.ndarray:
    """Targets of Q(lambda), (time, games): rewards, then the network's estimate of the rest (Peng & Williams 1996).

    All arguments are (time, games), `after` (games,): the value after the last step. A trace never crosses a reset
    (weight 0): what follows is another game.
    """
    targets = np.empty_like(rewards)
    following, value, keep = after, after, np.zeros_like(after)
    for t in reversed(range(len(rewards))):
        beyond = (1 - keep) * value + keep * following
        targets[t] = following = rewards[t] + discount * (1 - terminal[t]) * beyond
        value, keep = best[t], trace * weights[t]
    return targets


def dqn(
    config: Train, games: Games, network: keras.Model, optimizer: Any, rng: np.random.Generator, steps: int
) -> Iterator[tuple[int, dict[str, float]]]:
    """Deep Q-network: learn from a large replay memory, towards a slowly changing copy (Mnih et al. 2015), doubly."""
    from keras import ops

    from shared.training.steps import compile_step, shard

    policy, target = policy_of(network), q_network(games.actions)
    update = q_update(config, network, optimizer)

    def q_learning(frames, actions, rewards, next_frames, terminal, weights):
        values = target(next_frames)
        judge = network(next_frames) if config.targets == "double" else values  # van Hasselt et al. 2016, equation 4
        chosen = ops.one_hot(ops.argmax(judge, axis=-1), games.actions)
        beyond = ops.sum(values * chosen, axis=-1)
        return update(frames, actions, rewards + config.discount * (1 - terminal) * beyond, weights)

    def copy():
        for theirs, ours in zip(target.variables, network.variables, strict=True):
            theirs.assign(ours)

    learn, sync = compile_step(q_learning, network, target, optimizer), compile_step(copy, network, target)
    memory, losses, owed = Replay(config.replay, games.count), deque(maxlen=100), 0.0
    sync()
    while True:
        epsilon = anneal(config, optimizer, steps)
        for _ in range(config.rollout):
            observations = games.observations
            values = policy(observations)
            actions = epsilon_greedy(values, epsilon, rng)
            step = games.step(actions)
            memory.add(observations, actions, np.clip(step.rewards, -1, 1), step.terminal, step.ended)
            before, steps = steps, steps + games.count
            if len(memory) < config.warm_up:
                continue
            if steps // config.target_every > before // config.target_every:
                sync()
            owed += games.count * config.replay_ratio / config.batch
        batches = ahead(shard(*memory.sample(config.batch, rng)) for _ in range(int(owed)))
        losses.extend(learn(*batch) for batch in batches)
        owed %= 1
        value = values.max(axis=-1).mean()
        yield steps, {"loss": np.mean(losses or 0.0), "value": value, "training_score": games.mean_score}


ALGORITHMS = {"pqn": pqn, "dqn": dqn}


# ------------------------------------------------------------------------------------------------------ Training


def checked(config: Train) -> Train:
    """The settings to train with, or a UserError."""
    if config.quick:
        config = replace(config, steps=400_000, evaluate_every=200_000, average=20_000)
    config = settings.resumed(config)
    check_game(config.game)
    cli.check(config, "discount epsilon trace", 0.0, 1.0)
    cli.check(config, "exploration learning_rate replay_ratio checkpoint_minutes", 1e-9, 1e6)
    cli.check(config, "steps average evaluate_every target_every", 1, 10**12)
    cli.check(config, "environments rollout epochs batch", 1, 65_536)
    cli.check(config, "seed", 0, 2**31 - 20_000)
    played = config.environments * config.rollout
    if played % config.batch:
        raise UserError(f"--batch {config.batch} must divide --environments times --rollout, {played}.")
    in_range("--environments times --rollout", played, 1, 65_536)  # their screens take 1.8 GB
    cli.check(config, "replay", 8 * config.environments, 5_000_000)
    cli.check(config, "warm_up", 2 * config.environments, config.replay - config.environments)
    return settings.begin(config)


def boxed_games() -> list[str]:
    """The games that there are models for in the box."""
    return sorted(path.name.removeprefix("dqn_") for path in saved_models.MODELS.glob("dqn_*"))


def load_network(game: str, model: Path | None) -> keras.Model:
    """The saved network for this game; UserError if there is none in the box, or if it is made for another game."""
    check_game(game)
    boxed = boxed_games()
    if model is None and game not in boxed:
        raise UserError(
            f"No model for {game} in the box: train one with `python apps/{APP}.py train --game {game} --run RUN`, "
            f"and play it with `--game {game} --model RUN`. There are models for {', '.join(boxed) or 'no game'}."
        )
    path = model or saved_models.MODELS / f"dqn_{game}"
    network, _ = saved_models.load(path)
    wanted = ((None, *OBSERVATION), (None, len(action_names(game))))
    if (network.input_shape, network.output_shape) != wanted:
        raise UserError(
            f"{path} is not a network for {game}: it maps {network.input_shape} to {network.output_shape}, "
            f"and this game needs {wanted[0]} to {wanted[1]}."
        )
    return network


# -------------------------------------------------------------------------------------------------------- Verbs


def train(config: Train) -> None:
    """Learn a game from scratch; Ctrl-C saves, --resume goes on."""
    config = checked(config)
    with devices.setup(config.seed, config.precision) as device:
        say(f"Training on {device.description}.")
        best = fit(config)
    print(f"Best evaluation: {best:.1f} points. The model and its curve are in {config.run}.")
    print(f"Watch it play: python apps/{APP}.py --game {config.game} --model {config.run}")


def fit(config: Train) -> float:
    """The training itself; returns the best evaluation's mean score."""
    games = Games(config.game, config.environments, seed=config.seed)
    network, optimizer = q_network(games.actions), averaging_adam(config)
    optimizer.build(network.trainable_variables)
    policy = policy_of(network)
    if config.init and not config.resume:
        saved_models.start_from(network, config.init)

    def learner(steps: int) -> custom_loop.Learner:
        rng = np.random.default_rng([config.seed, steps])  # the emulators restart on resume, and so do the dice
        return ALGORITHMS[config.algorithm](config, games, network, optimizer, rng, steps)

    def validate() -> float:
        with averaged(network, optimizer):
            return float(protocol_scores(policy, config.game, NATURE, 32, config.seed + 10_000).mean())

    def save_best(steps: int, score: float) -> None:
        with averaged(network, optimizer):
            saved_models.save(network, config.run, asdict(config) | {"trained_steps": steps, "score": score})

    return custom_loop.train(
        learner,
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


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's table: 100 games by each of two protocols, and the time training took."""
    cli.check(config, "games", 1, 1000)
    cli.check(config, "seed", 0, 2**31 - 2000)
    policy = policy_of(load_network(config.game, config.model))
    print(f"{config.game}, {config.games} games a protocol, the first game of each environment")
    print(f"{'':38}{'mean':>8}{'std':>8}{'median':>8}{'max':>8}{'human':>9}")
    for protocol in (NATURE, STICKY):
        scores = protocol_scores(policy, config.game, protocol, config.games, config.seed)
        row = f"{scores.mean():8.1f}{scores.std():8.1f}{np.median(scores):8.1f}{scores.max():8.0f}"
        print(f"{protocol.name:38}{row}{human_normalised(config.game, scores.mean()):>9}")
    folder = config.model or saved_models.MODELS / f"dqn_{config.game}"
    print(training_story(config.game, folder.parent if folder.is_file() else folder))


def play(config: Play) -> None:
    """Play, choose the best game, and film it in colour with the network's Q-values beside it."""
    cli.check(config, "episodes", 1, 1000)
    cli.check(config, "seed", 0, 2**31 - 2000)
    cli.check(config, "epsilon sticky", 0.0, 1.0)
    path = output_path(config.output, APP, f"{config.game}.webp")
    Film(path, fps=STEPS_PER_SECOND)  # a wrong ending is refused before the game, not after it
    with Window(config.game, config.watch) as window:
        policy = policy_of(load_network(config.game, config.model))
        games = []
        for seed in range(config.seed, config.seed + config.episodes):
            games.append(play_game(policy, config.game, seed=seed, epsilon=config.epsilon, sticky=config.sticky))
            ended = "" if games[-1].finished else " (cut off after 5 minutes of play)"
            print(
                f"{config.game}, seed {seed}: {games[-1].score:.0f} points in {len(games[-1].actions):,} steps{ended}"
            )
        if config.game in RANDOM_HUMAN_DQN:
            print("For comparison: random play {}, a human {}, DQN-Nature {}.".format(*RANDOM_HUMAN_DQN[config.game]))
        best = max(games, key=lambda game: game.score)
        speed = film_game(best, path, window.show)
    print(f"Film of the game of seed {best.seed}, at {speed} times its speed: {path}")
    print(f"Try next: python apps/{APP}.py --game space_invaders, or: python apps/{APP}.py train --quick")


if __name__ == "__main__":
    cli.run(__doc__, play, {"train": train, "evaluate": evaluate})
