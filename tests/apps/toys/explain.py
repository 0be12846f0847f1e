"""Explains with what others have trained: it learns nothing itself."""

from __future__ import annotations

from tests.apps.toy import Toy

TOY = Toy(data=lambda folder: [], train="", demo="", output="why.png")
