"""A run's settings on disk: what was written comes back, and what cannot come back is one sentence."""

from __future__ import annotations

import ast
import importlib
import json
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_type_hints

import pytest
import tyro

from shared import cli, settings
from shared.errors import UserError
from shared.settings import Range, Settings, Training

ROOT = Path(__file__).parents[2]


@dataclass
class Learn(Training):
    QUICK: ClassVar = {"steps": 400, "learning_rate": 0.01}

    run: Path = Path("outputs/run")
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    algorithm: Literal["pqn", "dqn"] = "pqn"
    steps: Annotated[int, Range(1, 10**9)] = 10_000_000
    learning_rate: Annotated[float, Range(1e-9, 1)] = 2.5e-4
    game: str = "breakout"
    data: str = "mnist"


UNUSUAL = Learn(
    run=Path("a folder/ü"),
    resume=True,
    init=Path("models") / "x.keras",
    algorithm="dqn",
    steps=3,
    learning_rate=1 / 3,
    game="space_invaders",
)


def parsed(words: str) -> Learn:
    """What a command gets to see of these words."""
    seen = []

    def learn(config: Learn) -> None:
        seen.append(config)

    with pytest.raises(SystemExit) as exit:
        cli.run("Learn.", learn, {}, words.split())
    assert exit.value.code == 0, words
    return seen[0]


# ------------------------------------------------------------------------------------------------------------- Ranges


@dataclass
class Numbers(Settings):
    share: Annotated[float, Range(0, 1)] = 0.5
    """A share."""
    side: Annotated[int | None, Range(32, 4096, multiple_of=32)] = None
    """Pixels."""
    beams: Annotated[tuple[int, ...], Range(1, 100)] = (1, 3)
    """Several."""
    size: Annotated[Annotated[int, Range(1, 9)], tyro.conf.arg(aliases=["-s"])] = 1
    """With another annotation."""


def test_what_is_within_the_range_passes():
    assert Numbers(0.0, 32, (), 9) == Numbers(share=0, side=32, beams=(), size=9)
    Numbers(1, 4096, (1, 100), 1)
    Numbers()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"share": -1e-9}, "--share is -1e-9, and must be from 0 to 1."),
        ({"share": 1.5}, "--share is 1.5, and must be from 0 to 1."),
        ({"share": float("nan")}, "--share is nan, and must be from 0 to 1."),
        ({"share": float("inf")}, "--share is inf, and must be from 0 to 1."),
        ({"side": 0}, "--side is 0, and must be from 32 to 4,096."),
        ({"side": 40}, "--side is 40, and must be a multiple of 32."),
        ({"beams": (1, 0, 5)}, "--beams is 0, and must be from 1 to 100."),
        ({"size": 12_345}, "--size is 12,345, and must be from 1 to 9."),
    ],
)
def test_what_is_not_is_one_sentence_whoever_makes_it(values, said):
    for make in (Numbers, lambda **values: replace(Numbers(), **values)):
        with pytest.raises(UserError) as error:
            make(**values)
        assert str(error.value) == said


def commands() -> Iterator[Any]:
    """Every function that a word on the command line of an app or of a benchmark runs: cli.run in the last line."""
    for path in sorted([*ROOT.glob("apps/*.py"), *ROOT.glob("benchmarks/*.py")]):
        last = ast.parse(path.read_text(encoding="utf-8")).body[-1]
        if isinstance(last, ast.If):
            _, demo, verbs = last.body[0].value.args
            for name in (demo.id, *(verb.id for verb in verbs.values)):
                yield pytest.param(f"{path.parent.name}.{path.stem}", name, id=f"{path.stem} {name}")


def settings_of(module: str, command: str) -> tuple[type, dict[str, Range | None], dict[str, str]]:
    """A command's dataclass, its numbers with their ranges, and a value for each field that must be given."""
    kind = next(iter(get_type_hints(getattr(importlib.import_module(module), command)).values()))
    numbers = {}
    for name, plain in get_type_hints(kind).items():
        if {int, float} & {plain, *get_args(plain)}:
            notes = getattr(get_type_hints(kind, include_extras=True)[name], "__metadata__", ())
            numbers[name] = next((note for note in notes if isinstance(note, Range)), None)
    needed = [field.name for field in fields(kind) if MISSING is field.default is field.default_factory]
    return kind, numbers, dict.fromkeys(needed, "x")


@pytest.mark.parametrize(("module", "command"), commands())
def test_every_number_of_every_command_has_a_range(module, command):
    kind, numbers, needed = settings_of(module, command)
    for name, limits in numbers.items():
        assert limits, f"{name} is a number without a Range"
        for wrong in (limits.low - 1, limits.high + 1, float("nan")):
            with pytest.raises(UserError, match=f"^{settings.flag(name)} is .*, and must be from .* to "):
                kind(**needed, **{name: wrong})
        if limits.multiple_of:
            with pytest.raises(UserError, match=f"is {limits.low + 1}, and must be a multiple of {limits.multiple_of}"):
                kind(**needed, **{name: limits.low + 1})


@pytest.mark.parametrize(("module", "command"), commands())
def test_what_is_out_of_range_is_one_sentence_at_once(module, command, capsys):
    function = getattr(importlib.import_module(module), command)
    _, numbers, needed = settings_of(module, command)
    for name, limits in numbers.items():
        given = {**needed, name: str(limits.low - 1)}
        with pytest.raises(SystemExit) as exit:
            cli.run("", function, {}, [f"{settings.flag(flag)}={value}" for flag, value in given.items()])
        out, err = capsys.readouterr()
        assert (exit.value.code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"error: {settings.flag(name)} is ")


# -------------------------------------------------------------------------------------------------------------- Quick


@pytest.mark.parametrize(
    ("words", "steps", "learning_rate"),
    [
        ("", 10_000_000, 2.5e-4),
        ("--quick", 400, 0.01),
        ("--quick --steps 7", 7, 0.01),
        ("--steps 10000000 --quick", 10_000_000, 0.01),
        ("--quick --learning-rate=2.5e-4", 400, 2.5e-4),
        ("--quick --learning_rate 2.5e-4", 400, 2.5e-4),
    ],
)
def test_quick_changes_no_flag_that_was_given(words, steps, learning_rate):
    config = parsed(words)
    assert (config.steps, config.learning_rate) == (steps, learning_rate)


@pytest.mark.parametrize(("module", "command"), commands())
def test_quick_sets_what_there_is(module, command):
    kind, *_ = settings_of(module, command)
    if issubclass(kind, Training):
        assert kind.QUICK
        config = kind(quick=True)
        assert {name: getattr(config, name) for name in kind.QUICK} == kind.QUICK
        assert kind.QUICK.keys() <= asdict(config).keys(), "and no word of it is misspelt"


def test_quick_in_a_notebook():
    assert Learn(quick=True).steps == 400
    assert Learn(quick=True, steps=10_000_000).steps == 10_000_000, "given, though it is the usual value"
    assert replace(Learn(quick=True, steps=5), game="pong") == Learn(quick=True, steps=5, game="pong")


def test_a_batch_splits_over_the_replicas():
    @dataclass
    class Batched(Learn):
        batch: int = 6

    assert Batched(replicas=3).replicas == 3
    with pytest.raises(UserError, match=r"^--batch 6 must be a multiple of --replicas, 4\."):
        Batched(replicas=4)


# -------------------------------------------------------------------------------------------------------------- Files


@pytest.mark.parametrize("config", [Learn(), UNUSUAL, replace(UNUSUAL, init=None, output=Path("film.webp"))])
def test_what_is_written_comes_back(tmp_path, config):
    settings.write(config, tmp_path / "new" / "folder" / "run.json")
    again = settings.read(Learn, tmp_path / "new" / "folder" / "run.json")
    assert again == config
    assert {name: type(value) for name, value in asdict(again).items()} == {
        name: type(value) for name, value in asdict(config).items()
    }
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["run.json"], "nothing temporary is left"


def test_a_setting_that_the_file_lacks_has_its_default(tmp_path):
    (tmp_path / "run.json").write_text('{"steps": 7}', encoding="utf-8")
    assert settings.read(Learn, tmp_path / "run.json") == Learn(steps=7)


def test_a_new_run_is_recorded(tmp_path):
    config = replace(UNUSUAL, run=tmp_path / "run", resume=False)
    assert settings.resumed(config) is config
    assert settings.begin(config) is config
    assert json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["steps"] == 3


def test_resume_takes_the_settings_of_the_run(tmp_path):
    begun = settings.begin(replace(UNUSUAL, run=tmp_path, resume=False))
    before = (tmp_path / "run.json").read_bytes()
    for config in (Learn(run=tmp_path, resume=True), parsed(f"--resume --run {tmp_path}")):
        resumed = settings.begin(settings.resumed(config))
        assert resumed == replace(begun, resume=True)
        assert (tmp_path / "run.json").read_bytes() == before


def test_resume_may_be_told_the_flags_that_the_run_was_begun_with(tmp_path):
    begun = settings.begin(replace(UNUSUAL, run=tmp_path, resume=False))
    assert settings.resumed(replace(begun, resume=True)) == replace(begun, resume=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--learning-rate 0.1", r"with --learning-rate 0\.333\d+, and not 0\.1: leave --learning-rate out to go on"),
        ("--steps 10000000", "with --steps 3, and not 10000000: leave --steps"),
        ("--game breakout", "with --game space_invaders, and not breakout: leave --game"),
        ("--quick", "without --quick: leave --quick out"),
    ],
)
def test_resume_with_another_flag_is_refused_not_ignored(tmp_path, words, said):
    """Even where what is asked for is the default."""
    settings.begin(replace(UNUSUAL, run=tmp_path, resume=False))
    with pytest.raises(UserError, match=rf"was begun {said}"):
        settings.resumed(parsed(f"{words} --resume --run {tmp_path}"))


def test_resume_in_a_notebook_with_another_setting_is_refused(tmp_path):
    settings.begin(replace(UNUSUAL, run=tmp_path, resume=False, init=None))
    with pytest.raises(UserError, match="was begun with --steps 3, and not 10000000: leave --steps"):
        settings.resumed(Learn(run=tmp_path, resume=True, steps=10_000_000))
    with pytest.raises(UserError, match="was begun without --init: leave --init out"):
        settings.resumed(Learn(run=tmp_path, resume=True, init=Path("a model")))


def test_a_quick_run_is_resumed_with_or_without_the_flag(tmp_path):
    begun = settings.begin(parsed(f"--quick --steps 20 --run {tmp_path}"))
    for words in ("--quick", "", "--quick --steps 20"):
        assert settings.resumed(parsed(f"{words} --resume --run {tmp_path}")) == replace(begun, resume=True)


def test_the_data_may_have_moved(tmp_path):
    settings.begin(Learn(data="here", run=tmp_path))
    assert settings.resumed(Learn(run=tmp_path, resume=True)).data == "here"
    assert settings.resumed(Learn(data="there", run=tmp_path, resume=True)).data == "there"


def test_a_run_that_was_moved_can_be_resumed(tmp_path):
    settings.begin(Learn(run=tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")
    assert settings.resumed(Learn(run=tmp_path / "new", resume=True)).run == tmp_path / "new"


def test_a_run_is_not_begun_twice(tmp_path):
    settings.begin(Learn(run=tmp_path))
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(UserError, match=r"holds a run already: add --resume"):
        settings.begin(Learn(steps=1, run=tmp_path))
    assert settings.read(Learn, tmp_path / "run.json") == Learn(run=tmp_path)


def test_a_run_that_never_took_a_step_may_be_begun_again(tmp_path):
    settings.begin(Learn(init=Path("misspelt"), run=tmp_path))
    settings.begin(Learn(init=Path("spelt right"), run=tmp_path))
    assert settings.read(Learn, tmp_path / "run.json").init == Path("spelt right")


def test_a_model_folder_is_not_trained_over(tmp_path):
    (tmp_path / "metrics.jsonl").touch()  # as in saved_models/, where no run.json is
    with pytest.raises(UserError, match=r"holds a run already"):
        settings.begin(Learn(run=tmp_path))
    with pytest.raises(UserError, match=r"holds no run to go on with"):
        settings.resumed(Learn(run=tmp_path, resume=True))


def test_nothing_to_resume_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"holds no run to go on with"):
        settings.resumed(Learn(run=tmp_path / "nowhere", resume=True))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"steps": 7',
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"null",
        b'{"steps": 7, "of_the_future": 1}',
        b'{"steps": "many"}',
    ],
    ids=["empty", "cut short", "not text", "a list", "null", "a setting of another version", "no number"],
)
def test_a_damaged_record_is_one_sentence(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(UserError, match=r"run\.json cannot be read .*train again without --resume"):
        settings.read(Learn, tmp_path / "run.json")
