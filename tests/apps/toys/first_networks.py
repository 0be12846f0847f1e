"""Nothing is trained beforehand, and no model is shipped."""

from __future__ import annotations

from tests.apps.toy import Toy

TOY = Toy(data=lambda folder: [], train="", demo="--task gates --updates 20", output="sheet.png", needs_model=False)
