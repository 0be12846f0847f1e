"""The trained agents: which games have one, and how one is loaded, as a network or as a policy."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from shared import saved_models
from shared.atari.games import OBSERVATION, Policy, action_names, check_game
from shared.errors import UserError
from shared.training.inference import compiled_inference

if TYPE_CHECKING:
    import keras


def shipped_games() -> list[str]:
    """The games that saved_models/ has a network for."""
    return sorted(path.name.removeprefix("dqn_") for path in saved_models.MODELS.glob("dqn_*"))


def load_network(game: str, model: Path | None = None) -> keras.Model:
    """A network that plays this game: the given file or folder, by default the shipped one.

    UserError if there is none, or if it was made for another game.
    """
    check_game(game)
    shipped = shipped_games()
    if model is None and game not in shipped:
        raise UserError(
            f"No model for {game} is shipped: train one with `python apps/dqn_breakout.py train --game {game} --run "
            f"RUN`, and let it play with `--game {game} --model RUN`. Shipped: {', '.join(shipped) or 'no game'}."
        )
    path = model or saved_models.MODELS / f"dqn_{game}"
    network, record = saved_models.load(path)
    saved_models.check_meaning(path, record, game=game)
    wanted = ((None, *OBSERVATION), (None, len(action_names(game))))
    if (network.input_shape, network.output_shape) != wanted:
        raise UserError(
            f"{path} is not a network for {game}: it maps {network.input_shape} to {network.output_shape}, "
            f"and this game needs {wanted[0]} to {wanted[1]}."
        )
    return network


def load_policy(game: str, model: Path | None = None) -> Policy:
    """The network that `load_network` gives, as a compiled function."""
    return policy_of(load_network(game, model))


def policy_of(network: keras.Model) -> Policy:
    """The network as a compiled function from NumPy observations to NumPy Q-values."""
    return compiled_inference(lambda frames: network(frames, training=False), network)


def policy_for(game: str) -> Policy | None:
    """The shipped agent of a game, loaded once; None if there is none."""
    name = f"dqn_{game}"
    return _loaded(game, saved_models.MODELS / name) if saved_models.is_shipped(name) else None


@cache
def _loaded(game: str, model: Path) -> Policy:
    return load_policy(game, model)
