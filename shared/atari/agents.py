"""The trained agents that are shipped, as policies."""

from __future__ import annotations

from functools import cache

from shared import saved_models
from shared.atari.games import OBSERVATION, Policy, action_names, check_game
from shared.errors import UserError
from shared.training.inference import compiled_inference


def load_policy(model: str, game: str) -> Policy:
    """The network of a game as a compiled function; UserError if it is none."""
    check_game(game)
    network, record = saved_models.load(model)
    saved_models.check_meaning(model, record, game=game)
    if network.input_shape != (None, *OBSERVATION) or network.output_shape != (None, len(action_names(game))):
        raise UserError(f"{model} is not a network that plays {game}.")
    return compiled_inference(lambda x: network(x, training=False), network)


def policy_for(game: str) -> Policy | None:
    """The shipped agent of a game, loaded once; None if there is none."""
    name = f"dqn_{game}"
    return _loaded(str(saved_models.MODELS / name), game) if saved_models.is_shipped(name) else None


@cache
def _loaded(model: str, game: str) -> Policy:
    return load_policy(model, game)
