"""English into German and French: a transformer that translates a sentence and shows what it looked at for each word.

    python apps/translator.py "Two young girls are playing with lego bricks."
    python apps/translator.py --to fr --attention "A dog runs through the snow."   draws the attention
    cat lines.txt | python apps/translator.py --to de                            a sentence a line
    python apps/translator.py train --data multi30k                               learns; --quick takes minutes
    python apps/translator.py evaluate --data multi30k                            recomputes the model card's numbers

Method: an encoder and a decoder of attention (Vaswani et al. 2017, arXiv:1706.03762), normalised before each part
(Xiong et al. 2020, arXiv:2002.04745), one table of subwords for what is read and written in all languages (Sennrich et
al. 2016, arXiv:1508.07909; Press & Wolf 2017, arXiv:1608.05859). One network for several languages: the first token of
the source says which one is asked for (Johnson et al. 2017, arXiv:1611.04558). Translations come from a beam search.
`--architecture gru` trains what came before it: recurrent layers with the attention of Bahdanau et al. 2015,
arXiv:1409.0473. Measured results, with hardware and time, are in saved_models/translator/README.md.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.translator import corpora, metrics, rows, sheets, texts
from apps.parts.translator.answers import as_json, print_translation, translated, unsure_share
from apps.parts.translator.corpora import Pair
from apps.parts.translator.gru import gru_network
from apps.parts.translator.inputs import given_lines
from apps.parts.translator.subwords import Subwords
from apps.parts.translator.writer import Translator
from shared import cli, saved_models, settings
from shared.console import say
from shared.data.batches import spread
from shared.data.digest import digest_of
from shared.data.vocabulary import PAD, START
from shared.drawing.pictures import picture_path
from shared.errors import UserError
from shared.layers.transformer import BlockConfig, embed, packed_rows, token_table, transformer_block
from shared.settings import Range, Settings, Training
from shared.training import devices, fit_loop
from shared.training.losses import smoothed_cross_entropy
from shared.training.optimizers import adamw

if TYPE_CHECKING:
    import keras

APP = "translator"


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Translate(Settings):
    """Translate sentences from English."""

    sentences: tyro.conf.Positional[tuple[str, ...]] = ()
    """Sentences or longer texts; by default what a pipe sends, line by line, and else three samples."""
    file: Path | None = None
    """A text file to translate line by line."""
    to: tuple[str, ...] = ()
    """Languages, such as de; by default all that the network writes."""
    model: Path | None = None
    """A model.keras file, with its tokens.model beside it, or their folder; by default those in saved_models/."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the picture of the attention goes."""
    beams: Annotated[int, Range(1, 32)] = 4
    """Beams of the search; 1 takes the likeliest next token each time."""
    alternatives: Annotated[int, Range(0, 31)] = 0
    """How many other translations to print, fewer than --beams."""
    attention: bool = False
    """Draw what it looked at for each word of the first sentence."""
    json: bool = False
    """Print JSON."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alternatives >= self.beams and self.alternatives:
            raise UserError(f"--alternatives is {self.alternatives}, and must be below --beams, {self.beams}.")


@dataclass
class Train(Training):
    """Learn to translate from English; the network with the best BLEU on held-out pairs is saved as RUN/model.keras."""

    QUICK: ClassVar = {"epochs": 2, "units": 128, "hidden": 256, "tokens": 2000, "more": ()}

    run: Path = Path("outputs/translator/train")
    data: str = "multi30k"
    """Pairs to learn from: a folder with train.en, train.de ...; LANGUAGE=FILE.tsv; deu.txt; or a TFDS name."""
    more: tuple[str, ...] = ()
    """Further pairs, in the same forms, of which every epoch takes some."""
    more_share: Annotated[float, Range(0, 0.95)] = 0.25
    """Share of an epoch's sentences that come from --more."""
    to: tuple[str, ...] = ("de", "fr")
    """Languages to learn."""
    architecture: Literal["transformer", "gru"] = "transformer"
    """gru is the recurrent network of 2016, for comparison: --units, --layers and --dropout count."""
    epochs: Annotated[int, Range(1, 10_000)] = 16
    """Passes over the pairs of --data."""
    batch: Annotated[int, Range(256, 1_000_000)] = 2048
    """Tokens in a batch, padding included, on either side."""
    tokens: Annotated[int, Range(300, 60_000)] = 5000
    """Subwords in the vocabulary, of all languages together."""
    units: Annotated[int, Range(8, 10_000)] = 192
    """Size of each token's vector."""
    hidden: Annotated[int, Range(8, 100_000)] = 512
    """Size between the two dense layers of a block."""
    heads: Annotated[int, Range(1, 100)] = 4
    """Heads of each attention."""
    encoder_layers: Annotated[int, Range(1, 100)] = 3
    """Blocks that read."""
    layers: Annotated[int, Range(1, 100)] = 2
    """Blocks that write."""
    dropout: Annotated[float, Range(0, 0.9)] = 0.2
    """Share of what each part of a block adds that is left out in training."""
    smoothing: Annotated[float, Range(0, 0.9)] = 0.1
    """Probability that the targets spread evenly over all tokens."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 3e-3
    """AdamW's step size after the warm-up; it falls to zero along a cosine."""
    weight_decay: Annotated[float, Range(0, 1)] = 0.01
    """AdamW's weight decay, of everything but biases."""
    average: Annotated[float, Range(1e-9, 1)] = 0.03
    """Share of the run over which the weights are averaged."""
    held_out: Annotated[int, Range(1, 100_000)] = 300
    """Pairs of each language's validation split that choose the best epoch."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers: BLEU and chrF of each language, and the first translations, unselected."""

    data: tuple[str, ...] = ("multi30k",)
    """Where the pairs are, in the forms of train --data."""
    split: str = "test"
    """Which split: train, validation or test, or a name as of Multi30k's files, such as test_2016_flickr."""
    model: Path | None = None
    """A model.keras file, with its tokens.model beside it, or their folder; by default those in saved_models/."""
    beams: Annotated[tuple[int, ...], Range(1, 32)] = (1, 4)
    """Beams to measure with; translations of the last number are printed."""
    limit: Annotated[int, Range(1, 10_000_000)] = 2000
    """The most pairs of a language and source, spread over the split."""
    shown: Annotated[int, Range(0, 10_000_000)] = 100
    """Number of translations to print."""


# ------------------------------------------------------------------------------------------------------- Network


def translation_network(tokens: int, config: Train, dtype: str = "float32") -> keras.Model:
    """[sources int32 (batch, time), ids int32 (batch, time)] -> logits (batch, time, tokens) of the next token."""
    import keras
    from keras import layers, ops

    blocks = BlockConfig(config.units, config.heads, config.hidden, config.dropout, dtype)
    sources = keras.Input((None,), dtype="int32", name="sources")
    ids = keras.Input((None,), dtype="int32", name="ids")
    table = token_table(tokens, blocks)

    is_token = ops.expand_dims(ops.not_equal(sources, PAD), 1)  # (batch, 1, time)
    order = ops.subtract(ops.cumsum(ops.ones_like(sources), axis=1), 1)
    x = embed(sources, ops.one_hot(order, rows.LONGEST), table, blocks, "source_")
    for n in range(config.encoder_layers):
        x = transformer_block(f"source_{n}", x, is_token, blocks)
    memory = layers.LayerNormalization(name="memory", dtype=dtype)(x)  # (batch, time, units)

    mask, positions = packed_rows(ids, START, rows.LONGEST)
    x = embed(ids, positions, table, blocks)
    for n in range(config.layers):
        x = transformer_block(n, x, mask, blocks, memory, is_token)
    x = layers.LayerNormalization(name="norm", dtype=dtype)(x)
    return keras.Model([sources, ids], table(x, reverse=True), name=APP)


def network_of(tokens: int, config: Train, dtype: str = "float32") -> keras.Model:
    """The network that the settings ask for."""
    if config.architecture == "gru":
        return gru_network(tokens, config.units, config.encoder_layers, config.layers, config.dropout, dtype)
    return translation_network(tokens, config, dtype)


def load(model: Path | None = None) -> Translator:
    """A saved network with its subwords; UserError if this app did not train it."""
    network, record = saved_models.load_for(APP, model)
    languages, digest = record.get("to"), record.get("vocabulary")
    if network.name != APP or not isinstance(languages, list) or not isinstance(digest, str):
        raise UserError(f"{model} is not a network that this app trained, with its languages in config.json.")
    folder = saved_models.folder_of(model or APP)
    subwords = Subwords.load(folder, languages, digest)
    if network.output_shape[-1] != len(subwords):
        raise UserError(f"{model} is not the network that {folder} has the subwords of.")
    return Translator(network, subwords)


# ---------------------------------------------------------------------------------------------------------- Data


@dataclass(frozen=True)
class Pairs:
    """What a training learns from and is validated with."""

    first: list[Pair]
    """Those of --data, all of them in every epoch."""
    more: list[Pair]
    """Those of --more."""
    validation: list[Pair]


def checked(config: Train) -> tuple[Train, Pairs]:
    """The settings to train with, and the pairs; or a UserError."""
    config = settings.resumed(config)
    if config.units % config.heads:
        raise UserError(f"--units is {config.units}, and must be a multiple of --heads, {config.heads}.")
    sources = config.data, *config.more
    held_out = {english for source in sources for english in corpora.held_out_english(source)}
    found = [pairs_of(source, "train", config.to) for source in sources]
    first, *more = [[pair for pair in part if corpora.normalised(pair.english) not in held_out] for part in found]
    removed = sum(map(len, found)) - sum(map(len, [first, *more]))
    say(f"Left out of the training: {removed:,} pairs whose English is in a validation or test split, too.")
    for language in config.to:
        if not any(pair.language == language for pair in first):
            raise UserError(f"{config.data} has no pairs in {language}: name languages that it has with --to.")
    found_too = pairs_of(config.data, "validation", config.to)
    validation = [pair for language in config.to for pair in some(found_too, language, config.held_out)]
    digest = digest_of(f"{pair}" for part in (first, *more, validation) for pair in part)
    return settings.begin(config, digest), Pairs(first, [pair for part in more for pair in part], validation)


def pairs_of(source: str, split: str, languages: Sequence[str]) -> list[Pair]:
    """The pairs of a source in these languages."""
    return [pair for pair in corpora.read_pairs(source, split) if pair.language in languages]


def some(pairs: Sequence[Pair], language: str, most: int) -> list[Pair]:
    """At most so many of the pairs in a language, spread evenly."""
    chosen = [pair for pair in pairs if pair.language == language]
    return [chosen[n] for n in spread(len(chosen), most)]


def examples(pairs: Sequence[Pair], subwords: Subwords) -> list[rows.Example]:
    """The pairs as ids, but for those that are longer than a row."""
    found = [(subwords.source(pair.english, pair.language), subwords.target(pair.other)) for pair in pairs]
    return [example for example in found if max(map(len, example)) <= rows.LONGEST]


# ------------------------------------------------------------------------------------------------------ Training


def bleu(translator: Translator, pairs: Sequence[Pair], beams: int = 1) -> dict[str, float]:
    """BLEU of each language's pairs."""
    scores = {}
    for language in sorted({pair.language for pair in pairs}):
        chosen = [pair for pair in pairs if pair.language == language]
        written = translator.translate([pair.english for pair in chosen], language, beams)
        scores[language] = metrics.bleu([found[0].text for found in written], [pair.other for pair in chosen], language)
    return scores


def fit(config: Train, pairs: Pairs, precision: str) -> float:
    """The training itself; returns the best mean BLEU on the validation pairs."""
    from shared.training.steps import replicas

    subwords = starting_subwords(config, pairs)
    first, more = examples(pairs.first, subwords), examples(pairs.more, subwords)
    steps = rows.steps_of(first, more, config.more_share, config.batch)
    network = network_of(len(subwords), config, precision)
    shipped = Translator(network_of(len(subwords), config), subwords)
    if config.init:
        saved_models.start_from(shipped.network, config.init)
        network.set_weights(shipped.network.get_weights())
    optimizer = adamw(config.epochs * steps, config.learning_rate, config.weight_decay, config.average)
    network.compile(optimizer, smoothed_cross_entropy(config.smoothing))
    say(f"{len(first):,} and {len(more):,} pairs, {len(subwords):,} subwords; {network.count_params():,} parameters.")

    def validate() -> float:
        shipped.network.set_weights(network.get_weights())
        for pair in (pairs.validation[0], pairs.validation[-1]):
            written = shipped.translate([pair.english], pair.language, beams=1)[0][0].text
            print(f"\n  {pair.english}\n  {pair.language}: {written}", end="")
        scores = bleu(shipped, pairs.validation)
        print("\n ", ", ".join(f"BLEU {language} {score:.2f}" for language, score in scores.items()))
        return float(np.mean(list(scores.values())))

    def save_best(epoch: int, score: float) -> None:
        subwords.save(config.run)
        record = {"epoch": epoch, "bleu": score, "vocabulary": subwords.digest}
        saved_models.save(shipped.network, config.run, asdict(config) | record)

    batches = partial(rows.batches, first, more, config.more_share, config.batch, steps, config.seed, replicas())
    options: dict[str, Any] = {"epochs": config.epochs, "steps": steps, "metric": "bleu", "resume": config.resume}
    return fit_loop.fit(network, batches, validate, save_best, config.run, **options)


def starting_subwords(config: Train, pairs: Pairs) -> Subwords:
    """Those of the model to start from, or new ones, of which a resumed run keeps the first."""
    if config.init:
        subwords = load(config.init).subwords
        if list(subwords.languages) != list(config.to):
            raise UserError(f"{config.init} writes {', '.join(subwords.languages)}: give --to the same languages.")
        return subwords
    say("Learning subwords ...")
    texts = (text for pair in [*pairs.first, *pairs.more] for text in (pair.english, pair.other))
    return Subwords.of(texts, config.tokens, config.to)


def train(config: Train) -> None:
    """Learn to translate; Ctrl-C saves, --resume goes on."""
    config, pairs = checked(config)
    with devices.training(config) as device:
        best = fit(config, pairs, device.precision)
    print(f"Best BLEU, greedy, on pairs held out: {best:.2f}. The model and its curve are in {config.run}.")
    print(f'Try it: python apps/{APP}.py --model {config.run} "A dog runs through the snow."')


# ---------------------------------------------------------------------------------------------------- Evaluation


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers, and print translations that nobody selected."""
    translator = load(config.model)
    languages = translator.subwords.languages
    print(f"{translator.network.count_params():,} parameters, {len(translator.subwords):,} subwords")
    shown: list[tuple[Pair, str]] = []
    for source in config.data:
        found = pairs_of(source, config.split, languages)
        for language in sorted({pair.language for pair in found}):
            pairs = some(found, language, config.limit)
            for beams in config.beams:
                began_s = time.perf_counter()
                written = translator.translate([pair.english for pair in pairs], language, beams)
                pace = len(pairs) / (time.perf_counter() - began_s)
                best = [each[0] for each in written]
                print(f"{source}, {config.split}, en-{language}, {len(pairs):,} sentences, beams {beams}:")
                print(metrics.summary([each.text for each in best], [pair.other for pair in pairs], language))
                print(f"  {pace:.0f} sentences/s, compiling included; {unsure_share(best):.1%} unsure")
            shown += [(pair, each.text) for pair, each in zip(pairs, best, strict=True)]
    for name, sentences in (("contracts", texts.CONTRACT), ("poems", texts.POEM)):
        best = [each[0] for each in translator.translate(sentences, languages[0], config.beams[-1])]
        print(f"{name}, {len(best)} sentences to {languages[0]}: {unsure_share(best):.0%} unsure")
    for pair, text in shown[: config.shown]:
        print(f"{pair.english} | {pair.language}: {text}")


# ---------------------------------------------------------------------------------------------------------- Demo


def translate(config: Translate) -> None:
    """Translate sentences, and draw what the network looked at."""
    path = picture_path(config.output, APP, "attention.png")
    lines = given_lines(config.sentences, config.file)
    translator = load(config.model)
    languages = config.to or translator.subwords.languages
    for language in languages:
        if language not in translator.subwords.languages:
            known = ", ".join(translator.subwords.languages)
            raise UserError(f"--to is {language}, and this network writes {known}.")
    first = ""
    answers = []
    for chunk in lines or iter([list(texts.SAMPLES)]):
        first = first or next((line for line in chunk if line.strip()), "")
        for line, found in zip(
            chunk, translated(translator, chunk, languages, config.beams, config.alternatives + 1), strict=True
        ):
            answers.append((line, found))
            if not config.json:
                print_translation(line, found, plain=lines is not None and not config.sentences)
    if config.json:
        print(json.dumps([as_json(*answer) for answer in answers], indent=2, ensure_ascii=False))
    if first and (config.attention or config.output or lines is None):
        draw_attention(path, translator, first, languages, config.beams)
        say(f"What it looked at for each word: {path}")
    say(f'Try next: python apps/{APP}.py "YOUR SENTENCE." --attention, or --alternatives 3')


def draw_attention(path: Path, translator: Translator, text: str, languages: Sequence[str], beams: int) -> None:
    """Draw the attention of the translation of a text's first sentence into each language."""
    panels = []
    for language in languages:
        sentence = translator.parts(text, language)[0]
        best = translator.translate([sentence], language, beams)[0][0]
        panels.append((f"English to {language}", translator.attention(sentence, language, best)))
    sheets.save_attention_sheet(path, panels)


if __name__ == "__main__":
    cli.run(__doc__, translate, {"train": train, "evaluate": evaluate})
