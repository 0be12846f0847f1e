"""The translator: what it writes."""

from __future__ import annotations

import numpy as np

from tests.parity_worker import build, scenario


@scenario
def greedy_translations() -> dict:
    """Ids and log-probabilities of a greedy search, by a network whose weights do not depend on the backend."""
    from apps.translator import Train, translation_network
    from shared.decoding.beam_search import TokenRules, beam_search

    config = Train(units=16, hidden=16, heads=2, encoder_layers=1, layers=1)
    network = build(translation_network(30, config))
    sources = np.array([[4, 9, 11, 2, 0, 0], [5, 9, 11, 20, 21, 2]], np.int32)
    ids, sums = beam_search(network, TokenRules(1, 2, forbidden=(0, 1, 3, 4, 5)), 1)(sources, (sources != 0)[:, None])
    return {"ids": np.asarray(ids).tolist(), "sums": np.asarray(sums).tolist()}
