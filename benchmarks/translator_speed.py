"""How fast the translator writes, beside the loop of TensorFlow's tutorial on the Transformer, with the same network.

    python benchmarks/translator_speed.py --data test_2016_flickr.en

The tutorial's Translator (tensorflow.org/text/tutorials/transformer, 2023) gives the whole network everything that is
written so far for every new token, one sentence at a time, and takes the likeliest token. Ours keeps keys and values,
and writes several sentences at once. Both loops get the network that is shipped, so that only the loops differ; what
compiles is called once before.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps import translator as app
from apps.parts.translator.writer import Translator
from shared import cli
from shared.data.text import open_text
from shared.data.vocabulary import END, START
from shared.settings import Range, Settings


@dataclass
class Config(Settings):
    """Compare."""

    data: Path = Path("test_2016_flickr.en")
    """A text file with a sentence a line."""
    sentences: Annotated[int, Range(1, 100_000)] = 320
    """Sentences for our search."""
    tutorial: Annotated[int, Range(1, 100_000)] = 20
    """Sentences for the tutorial's loop."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""


def tutorial_loop(translator: Translator, sentence: str, language: str, most: int = 128) -> list[int]:
    """The tutorial's Translator: one sentence, the whole network again for every token, by an eager call."""
    import tensorflow as tf

    source = tf.constant([translator.subwords.source(sentence, language)])
    written = [START]
    for _ in range(most - 1):
        predictions = translator.network([source, tf.constant([written])], training=False)
        written.append(int(tf.argmax(predictions[0, -1])))
        if written[-1] == END:
            break
    return written[1:]


def compare(config: Config) -> None:
    """Print sentences a second of both, and the ratios."""
    translator = app.load(config.model)
    language = translator.subwords.languages[0]
    lines = [line for line in open_text(config.data).split("\n") if line][: config.sentences]
    few = lines[: config.tutorial]
    tutorial_loop(translator, few[0], language)
    began_s = time.perf_counter()
    theirs = [tutorial_loop(translator, line, language) for line in few]
    pace = len(few) / (time.perf_counter() - began_s)
    print(f"the tutorial's loop: {pace:.2f} sentences/s, {np.mean([len(ids) for ids in theirs]):.1f} tokens each")
    for name, beams, parts in (
        ("ours, one by one, greedy", 1, [[line] for line in few]),
        ("ours, in batches of 32, greedy", 1, [lines]),
        ("ours, in batches of 32, 4 beams", 4, [lines]),
    ):
        for part in parts:
            translator.translate(part, language, beams)  # compiles what it needs
        began_s = time.perf_counter()
        found = [each[0] for part in parts for each in translator.translate(part, language, beams)]
        rate = len(found) / (time.perf_counter() - began_s)
        print(f"{name}: {rate:.1f} sentences/s, {rate / pace:.1f}x")
        if beams == 1:
            equal = np.mean([list(each.ids) == ids for each, ids in zip(found, theirs, strict=False)])
            print(f"  {equal:.0%} of the first {len(theirs)} have the same tokens")


if __name__ == "__main__":
    cli.run(__doc__, compare, {})
