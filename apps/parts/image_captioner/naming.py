"""Which word stands for what other networks recognise; sentences without photos that teach to use such words.

A file of names (--names) says of each ImageNet class what it is called and what it is a kind of, as WordNet has it:
{"n02123045": ["tabby", "cat", "feline", ...], ...}.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from apps.parts.image_captioner.captions import words_of
from shared.data.text import open_text
from shared.data.vocabulary import PAD, Vocabulary, Words, word_set
from shared.decoding.recognised import CLASSIFIED, NAMES, TENTHS, Recogniser
from shared.errors import UserError

KINDS = word_set(
    "ape bear beetle bird butterfly cat chicken crab crocodile dinosaur dog duck eagle fish fox frog goat goose hare "
    "lizard lobster monkey owl parrot penguin rabbit salamander shark sheep snake spider squirrel turtle whale "
    "wolf"
)
"""What people call an animal at first sight (Rosch 1976, basic-level categories), where its own name is rare."""
COMMON = 15  # how often a name must occur in the sentences to be known from them
RARE = 30  # captions
ANIMALS = 398  # so many of ImageNet's classes, the first, are animals
LIVING = frozenset({"bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"})  # detected


def read_names(file: Path | None) -> dict[str, list[str]]:
    """Names by WNID from a JSON file; UserError if it is something else."""
    if file is None:
        return {}
    try:
        names = json.loads(open_text(file))
    except ValueError as error:
        raise UserError(f"{file} is not JSON: {error}.") from None
    if not isinstance(names, dict) or not all(isinstance(each, list) for each in names.values()):
        raise UserError(f'{file} must be of the form {{"n02123045": ["tabby", "cat", ...], ...}}.')
    return {wnid: [" ".join(words_of(str(name))) for name in each] for wnid, each in names.items()}


def read_sentences(file: Path | None) -> list[Words]:
    """The sentences of a text, one a line; none without a file."""
    return [words for line in open_text(file).split("\n") if (words := words_of(line))] if file else []


def words_to_say(
    captions: Sequence[Words],
    more: Sequence[Words],
    recogniser: Recogniser,
    names: Mapping[str, list[str]],
    least: int,
) -> tuple[Vocabulary, list[str], list[str]]:
    """The words that captions and more sentences have often and those for what is recognised.

    Returns:
        The vocabulary, the word for each class, and `unfamiliar_names`.
    """
    sentences = [*captions, *more]
    sayings = sayings_of(recogniser.labels, recogniser.wnids, names, occurrences(sentences))
    common = Vocabulary.of(sentences, least).words
    vocabulary = Vocabulary([*common, *sorted(set(sayings) - set(common))])
    return vocabulary, sayings, unfamiliar_names(captions, vocabulary, sayings)


def unfamiliar_names(captions: Sequence[Words], vocabulary: Vocabulary, sayings: Sequence[str]) -> list[str]:
    """The sayings that fewer than RARE captions of photos have: "person", which has many other words, is none."""
    counts = Counter(word for words in captions for word in set(vocabulary.joined(words)))
    return sorted({name for name in sayings if name and counts[name] < RARE and name != "person"})


def occurrences(sentences: Sequence[Words]) -> Counter[str]:
    """How often each word, and each two words side by side, occur."""
    counts = Counter(word for sentence in sentences for word in sentence)
    counts.update(" ".join(sentence[n : n + 2]) for sentence in sentences for n in range(len(sentence) - 1))
    return counts


def sayings_of(
    labels: Sequence[str], wnids: Sequence[str], names: Mapping[str, list[str]], counts: Mapping[str, int]
) -> list[str]:
    """The word for each class: a name of its own that is common, the kind of animal it is, its last word, its label.

    Args:
        labels: of the classifier's classes, whose WNIDs are given, and then of the detector's.
        counts: as `occurrences` gives them.
    """
    shared_by = Counter(name for each in names.values() for name in set(each))
    sayings = []
    for label, wnid in zip(labels, [*wnids, *[""] * (len(labels) - len(wnids))], strict=True):
        label = " ".join(words_of(label.replace("_", " ")))
        known = names.get(wnid, [])
        own = [label, *(name for name in known if shared_by[name] == 1)]
        common = [name for name in own if counts.get(name, 0) >= COMMON and name.count(" ") < 2]
        kinds = sorted(KINDS & set(known))
        last = label.split()[-1]
        if common:
            sayings.append(max(common, key=lambda name: (name == label, counts[name])))
        elif kinds:
            sayings.append(min(kinds, key=lambda kind: shared_by[kind]))
        elif last in known and counts.get(last, 0) >= COMMON:
            sayings.append(last)
        else:
            sayings.append(label)
    return sayings


def plural(name: str) -> str:
    """The regular plural of a name."""
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")


class Sentences:
    """Sentences that people wrote about photos that are not there, by the things that they name.

    A row teaches what a sure name is for: five sentences that name one thing, and the name. Half of the time the thing
    is replaced by a rare one, which no sentence has, so that a name can be written that was never read.

    Args:
        sentences: of people.
        vocabulary: with all sayings.
        sayings: the word for each class, the classifier's first.
    """

    def __init__(self, sentences: Sequence[Words], vocabulary: Vocabulary, sayings: Sequence[str]):
        self.vocabulary = vocabulary
        self.sentences = [tuple(vocabulary.joined(words)) for words in sentences]
        forms = {plural(name): name for name in sayings} | {name: name for name in sayings}
        self.named = [sorted({forms[word] for word in words if word in forms}) for words in self.sentences]
        self.about: dict[str, list[int]] = defaultdict(list)
        for n, names in enumerate(self.named):
            for name in names:
                self.about[name].append(n)
        self.things = sorted(name for name in self.about if len(self.about[name]) >= 5)
        weights = np.array([len(self.about[name]) for name in self.things]) ** 0.5
        self.weights = weights / weights.sum()
        self.hosts, self.rare = self._hosts(sayings)
        self.all = sorted(set(sayings))

    def _hosts(self, sayings: Sequence[str]) -> tuple[list[list[str]], list[list[str]]]:
        """Common things in whose place rare ones are put, and these: animals, and what is none."""
        detected = [name for name in sayings[CLASSIFIED:] if name in self.things and name != "person"]
        hosts = [[name for name in detected if name in LIVING], [name for name in detected if name not in LIVING]]
        classes = sayings[:ANIMALS], sayings[ANIMALS:CLASSIFIED]
        return hosts, [sorted({name for name in each if len(self.about[name]) < COMMON}) for each in classes]

    def row(self, others: np.ndarray, rng: np.random.Generator) -> tuple[list[list[int]], np.ndarray]:
        """Five sentences as ids, and the names told with them, int32 (NAMES, 2).

        Args:
            others: what is recognised on the photo that they come with, (NAMES, 2): what is unsure of it is told, too,
                so that these names look like those of a photo.
        """
        kind = int(rng.random() < 0.7)  # 0 for animals
        if rng.random() < 0.5 and self.hosts[kind] and self.rare[kind]:
            thing, said = str(rng.choice(self.hosts[kind])), str(rng.choice(self.rare[kind]))
        else:
            thing = said = str(rng.choice(self.things, p=self.weights))
        chosen = rng.choice(self.about[thing], 5)
        sentences = [replaced(self.sentences[n], thing, said) for n in chosen]
        told = {name: tenths for name, tenths in others.tolist() if tenths < 6}
        for wrong in rng.choice(self.all, rng.integers(0, 3)):
            told[self.vocabulary.id_of(str(wrong))] = int(rng.integers(0, 4))
        for other in {name for n in chosen for name in self.named[n]} - {thing}:
            if rng.random() < 0.5:
                told[self.vocabulary.id_of(other)] = int(rng.integers(1, TENTHS))
        told[self.vocabulary.id_of(said)] = int(rng.integers(5, TENTHS))
        names = np.full((NAMES, 2), PAD, np.int32)
        surest = sorted(told.items(), key=lambda name: -name[1])[:NAMES]
        names[: len(surest)] = surest
        return [self.vocabulary.encode(words) for words in sentences], names


def replaced(sentence: Words, thing: str, other: str) -> Words:
    """A sentence about one thing as one about the other, "a" and "an" included."""
    words: list[str] = []
    for word in sentence:
        if word in (thing, plural(thing)):
            if words and words[-1] in ("a", "an") and thing != other:
                words[-1] = "an" if other[0] in "aeiou" else "a"
            word = word if thing == other else other
        words.append(word)
    return tuple(words)
