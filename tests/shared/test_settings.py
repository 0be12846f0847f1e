"""A run's settings on disk: what was written comes back, and what cannot come back is one sentence."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro

from shared import settings
from shared.errors import UserError


@dataclass
class Settings:
    run: Path = Path("outputs/run")
    resume: bool = False
    init: Path | None = None
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    algorithm: Literal["pqn", "dqn"] = "pqn"
    steps: int = 10_000_000
    learning_rate: float = 2.5e-4
    game: str = "breakout"
    data: str = "mnist"


UNUSUAL = Settings(Path("a folder/ü"), True, Path("models") / "x.keras", None, "dqn", 3, 1 / 3, "space_invaders")


@pytest.mark.parametrize("settings", [Settings(), UNUSUAL, replace(UNUSUAL, init=None, output=Path("film.webp"))])
def test_what_is_written_comes_back(tmp_path, settings):
    settings.write(settings, tmp_path / "new" / "folder" / "run.json")
    again = settings.read(Settings, tmp_path / "new" / "folder" / "run.json")
    assert again == settings
    assert {name: type(value) for name, value in asdict(again).items()} == {
        name: type(value) for name, value in asdict(settings).items()
    }
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["run.json"], "nothing temporary is left"


def test_a_setting_that_the_file_lacks_has_its_default(tmp_path):
    (tmp_path / "run.json").write_text('{"steps": 7}', encoding="utf-8")
    assert settings.read(Settings, tmp_path / "run.json") == Settings(steps=7)


def test_a_new_run_is_recorded(tmp_path):
    settings = replace(UNUSUAL, run=tmp_path / "run", resume=False)
    assert settings.resumed(settings) is settings
    assert settings.begin(settings) is settings
    assert json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["steps"] == 3


def test_resume_takes_the_settings_of_the_run(tmp_path):
    begun = settings.begin(replace(UNUSUAL, run=tmp_path, resume=False))
    before = (tmp_path / "run.json").read_bytes()
    resumed = settings.begin(settings.resumed(Settings(run=tmp_path, resume=True)))
    assert resumed == replace(begun, resume=True)
    assert (tmp_path / "run.json").read_bytes() == before


def test_resume_may_repeat_the_flags_that_the_run_was_begun_with(tmp_path):
    begun = settings.begin(replace(UNUSUAL, run=tmp_path, resume=False))
    assert settings.resumed(replace(begun, resume=True)) == replace(begun, resume=True)


def test_resume_with_another_flag_is_refused_not_ignored(tmp_path):
    settings.begin(replace(UNUSUAL, run=tmp_path, resume=False))
    with pytest.raises(
        UserError, match=r"was begun with --learning-rate 0\.333\d+, and not 0\.1: leave --learning-rate"
    ):
        settings.resumed(Settings(learning_rate=0.1, run=tmp_path, resume=True))


def test_the_data_may_have_moved(tmp_path):
    settings.begin(Settings(data="here", run=tmp_path))
    assert settings.resumed(Settings(run=tmp_path, resume=True)).data == "here"
    assert settings.resumed(Settings(data="there", run=tmp_path, resume=True)).data == "there"


def test_a_run_that_was_moved_can_be_resumed(tmp_path):
    settings.begin(Settings(run=tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")
    assert settings.resumed(Settings(run=tmp_path / "new", resume=True)).run == tmp_path / "new"


def test_a_run_is_not_begun_twice(tmp_path):
    settings.begin(Settings(run=tmp_path))
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(UserError, match=r"holds a run already: add --resume"):
        settings.begin(Settings(steps=1, run=tmp_path))
    assert settings.read(Settings, tmp_path / "run.json") == Settings(run=tmp_path)


def test_a_run_that_never_took_a_step_may_be_begun_again(tmp_path):
    settings.begin(Settings(init=Path("misspelt"), run=tmp_path))
    settings.begin(Settings(init=Path("spelt right"), run=tmp_path))
    assert settings.read(Settings, tmp_path / "run.json").init == Path("spelt right")


def test_a_model_folder_is_not_trained_over(tmp_path):
    (tmp_path / "metrics.jsonl").touch()  # as in saved_models/, where no run.json is
    with pytest.raises(UserError, match=r"holds a run already"):
        settings.begin(Settings(run=tmp_path))
    with pytest.raises(UserError, match=r"holds no run to go on with"):
        settings.resumed(Settings(run=tmp_path, resume=True))


def test_nothing_to_resume_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"holds no run to go on with"):
        settings.resumed(Settings(run=tmp_path / "nowhere", resume=True))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b'{"steps": 7', b"\xff\xfe\x00", b"[1, 2]", b"null", b'{"steps": 7, "of_the_future": 1}'],
    ids=["empty", "cut short", "not text", "a list", "null", "a setting of another version"],
)
def test_a_damaged_record_is_one_sentence(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(UserError, match=r"run\.json cannot be read .*train again without --resume"):
        settings.read(Settings, tmp_path / "run.json")
