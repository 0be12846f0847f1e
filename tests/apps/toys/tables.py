"""The table that comes with scikit-learn, and two small networks."""

from __future__ import annotations

from tests.apps.toy import Toy

TOY = Toy(
    data=lambda folder: [],
    train="--units 4 --members 2 --epochs 6",
    demo="",
    output="answers.csv",
    needs_model=False,
)
