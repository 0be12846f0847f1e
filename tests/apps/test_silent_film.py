"""Silent films: the emulator's sound, the book of sounds, the network that dubs, what is measured and written."""

from __future__ import annotations

import wave
from itertools import islice

import numpy as np
import pytest

from apps import silent_film as app
from apps.parts.silent_film import dubber, emulator, measures, output, played, sounds
from apps.parts.silent_film.played import Track
from shared.errors import UserError
from tests.apps.command import Command
from tests.apps.toys.silent_film import TOY

COMMAND = Command("silent_film")
main, sentence = COMMAND.main, COMMAND.sentence
RNG = np.random.default_rng(0)


def tone(multiple: int, amplitude: float = 60) -> np.ndarray:
    """A frame of a tone of so many times 60 Hz."""
    wave = amplitude * np.sin(2 * np.pi * multiple * np.arange(512) / 512)
    return np.rint(128 + wave).astype(np.uint8)


SILENT = np.full(512, 128, np.uint8)


# ------------------------------------------------------------------------------------------------------- The emulator


def test_the_agent_sees_what_the_vector_environment_shows():
    """But for rounding: it learned from those."""
    bare = {"noop_max": 0, "use_fire_reset": False, "stack_num": 1, "reward_clipping": False}
    from ale_py.vector_env import AtariVectorEnv

    other = AtariVectorEnv("breakout", 1, num_threads=1, repeat_action_probability=0.0, **bare)
    ours = emulator._Emulator("breakout", 0)
    ours._ale.reset_game()
    other.reset(seed=0)
    for action in np.random.default_rng(0).integers(0, 4, 60):
        seen, *_ = other.step(np.array([action], np.int32))
        pair = []
        for _ in range(4):
            ours.act(int(action))
            pair.append(ours.grey())
        made = emulator.by_area(np.max(pair[2:], axis=0)[None], (84, 84))[0].astype(int)
        assert np.abs(made - seen[0, 0]).max() <= 1
        assert (made != seen[0, 0]).mean() < 1e-3
    other.close()


def test_a_game_has_sound_points_and_both_kinds_of_screens():
    played_frames = list(islice(emulator.play_with_sound(None, "breakout", [3, 4], epsilon=1.0, colour=True), 400))
    frame = played_frames[0]
    assert (frame.grey.shape, frame.colour.shape, frame.sounds.shape) == ((2, 210, 160), (2, 210, 160, 3), (2, 512))
    loud = np.array([sounds.loudness(frame.sounds) for frame in played_frames])
    assert 0 < (loud > sounds.AUDIBLE).mean() < 0.6
    again = list(islice(emulator.play_with_sound(None, "breakout", [3, 4], epsilon=1.0), 400))
    np.testing.assert_array_equal(played_frames[-1].sounds, again[-1].sounds)
    assert (again[0].colour, (played_frames[-1].grey[0] != played_frames[-1].grey[1]).any()) == (None, True)


def test_skipped_frames_are_those_that_come_first():
    whole = list(islice(emulator.play_with_sound(None, "pong", [1], epsilon=1.0), 60))
    late = list(islice(emulator.play_with_sound(None, "pong", [1], epsilon=1.0, skip=23), 37))
    for one, other in zip(whole[23:], late, strict=True):
        np.testing.assert_array_equal(one.grey, other.grey)


def test_a_pixel_is_the_mean_of_its_area():
    picture = RNG.integers(0, 256, (1, 210, 160)).astype(np.uint8)
    np.testing.assert_array_equal(played.halved(picture)[0, 0, 0], picture[0, :2, :2].astype(int).sum() // 4)
    assert abs(float(emulator.by_area(picture, (84, 84)).mean()) - picture.mean()) < 1


# ------------------------------------------------------------------------------------------------------------- Sounds


def test_what_a_frame_sounds_like():
    frames = np.stack([SILENT, tone(5), tone(40, 30)])
    np.testing.assert_array_equal(sounds.tones(frames), [0, 5, 40])
    np.testing.assert_allclose(sounds.loudness(frames), [0, 60 / 2**0.5, 30 / 2**0.5], atol=0.5)


def test_where_sounds_begin():
    frames = np.stack([SILENT, tone(5), tone(5), tone(9), tone(9, 20), SILENT, tone(9, 3), tone(9, 40)])
    assert list(np.flatnonzero(sounds.onsets(frames))) == [1, 3, 6, 7], "louder, another tone, a tone, louder"
    assert list(np.flatnonzero(sounds.strikes(frames))) == [1, 7], "louder than all of the three before"


@pytest.fixture(scope="module")
def book():
    track = np.concatenate([np.stack([SILENT] * 4 + [tone(n)] * 5) for n in (3, 8, 20)] * 4)
    return sounds.Book.of([track], 3, seed=0), track


def test_a_book_has_every_kind_and_an_example_of_it(book):
    found, track = book
    kinds = found.kinds_of(track)
    assert set(kinds) == {0, 1, 2, 3}
    assert set(kinds[:4]) == {0}
    np.testing.assert_array_equal(found.kinds_of(found.examples[:, 0]), np.arange(4))
    made = found.soundtrack(kinds)
    np.testing.assert_array_equal(sounds.tones(made), sounds.tones(track))
    assert measures.matched(sounds.onsets(track), sounds.onsets(made)) == sounds.onsets(track).sum()


def test_a_soundtrack_is_the_same_however_it_is_cut(book):
    found, track = book
    kinds = found.kinds_of(track)
    parts = [found.soundtrack(kinds[n : n + 1], kinds[:n]) for n in range(len(kinds))]
    np.testing.assert_array_equal(np.concatenate(parts), found.soundtrack(kinds))


def test_silent_games_have_no_book():
    with pytest.raises(UserError, match="sound in 0 frames"):
        sounds.Book.of([np.stack([SILENT] * 50)], 3, seed=0)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 broken", None])
def test_a_book_that_cannot_be_read_is_a_sentence(book, tmp_path, damage):
    found, _ = book
    found.save(tmp_path)
    np.testing.assert_array_equal(sounds.Book.load(tmp_path, 4).examples, found.examples)
    with pytest.raises(UserError, match="not the book"):
        sounds.Book.load(tmp_path, 5)
    path = tmp_path / sounds.BOOK
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    with pytest.raises(UserError, match="copy it"):
        sounds.Book.load(tmp_path, 4)


def test_objects_in_a_book_are_never_unpickled(tmp_path):
    np.savez(tmp_path / sounds.BOOK, centres=np.array([{}], object), examples=np.zeros(3), follows=np.zeros(1))
    with pytest.raises(UserError, match="cannot be read"):
        sounds.Book.load(tmp_path, 1)


# ---------------------------------------------------------------------------------------------------------- Dubbing


@pytest.mark.parametrize("frames", [1, 5, 31, 32, 33, 62, 64, 70])
def test_every_frame_has_one_answer_that_knows_what_comes(frames):
    """A network that only repeats the screen's brightness, three frames late."""

    class Echo:
        inputs = (np.zeros((1, 33, 105, 80)), np.zeros((1, 1)))

    heard = dubber.Dubber.__new__(dubber.Dubber)
    heard.ahead, heard._units, heard._length = 3, 3, 32

    def late(screens, memory):
        bright = screens[:, 1:, 0, 0].astype(float)
        delayed = np.concatenate([memory, bright], axis=1)
        return delayed[:, :32, None], delayed[:, 32:35]

    heard._answer = late
    screens = [np.full((105, 80), value, np.uint8) for value in [0, *range(1, frames + 1)]]
    assert [int(row[0]) for row in heard.logits(screens)] == list(range(1, frames + 1))


def test_what_never_follows_is_not_heard_for_one_frame():
    """A single frame of another kind, a little likelier, is a slip where that kind always lasts."""
    logits = np.zeros((40, 3))
    logits[:, 0] = 2
    logits[20] = [2, 2.3, 0]
    logits[30:35] = [0, 0, 3]
    follows = np.log(np.array([[0.9, 0.0001, 0.0999], [0.001, 0.998, 0.001], [0.1, 0.0001, 0.8999]]))
    heard = dubber.Dubber.__new__(dubber.Dubber)
    heard.book = sounds.Book(np.zeros((3, 1)), np.zeros((3, 1)), follows)
    heard.logits = lambda screens: iter(logits)
    assert list(heard.kinds([])) == [0] * 30 + [2] * 5 + [0] * 5
    for count in (0, 1, 5, 12, 13):
        heard.logits = lambda screens, count=count: iter(logits[:count])
        assert list(heard.kinds([])) == [0] * count


def test_lines_ask_for_the_sound_of_frames_that_were_seen():
    screens = np.arange(65, dtype=np.uint8)[:, None, None] * np.ones((1, 105, 80), np.uint8)
    track = Track(screens, np.zeros((64, 512), np.uint8), np.zeros(64, np.float32))
    for shown, heard in played.lines(track, np.arange(64, dtype=np.int32), 16, 3, np.random.default_rng(1)):
        assert (len(shown), len(heard), list(heard[:3])) == (17, 16, [-1] * 3)
        newest = shown[1:, 0, 0].astype(int) - 1
        assert (heard[3:] <= newest[3:]).all(), "never the future"


def test_the_loss_leaves_out_what_is_unknown_and_weighs_what_is_rare():
    kinds = np.array([[0, 0, 0, 1]], np.int32)
    weights = app.weights_of(kinds.ravel(), 2, 0.5)
    assert weights[1] > weights[0]
    logits = RNG.normal(size=(1, 4, 2)).astype(np.float32)
    loss = app.loss_of(weights)
    longer = np.concatenate([kinds, [[-1, -1]]], axis=1).astype(np.int32), np.pad(logits, ((0, 0), (0, 2), (0, 0)))
    assert np.mean(loss(kinds, logits)) == pytest.approx(float(np.mean(loss(*longer))), rel=1e-6)
    np.testing.assert_allclose(app.weights_of(kinds.ravel(), 2, 0.0), 1)


# ------------------------------------------------------------------------------------------------------------ Measures


def test_onsets_are_matched_once_and_within_two_frames():
    true, heard = np.zeros(40, bool), np.zeros(40, bool)
    true[[5, 10, 20, 30]] = True
    heard[[3, 12, 11, 23, 31]] = True
    assert measures.matched(true, heard) == 3, "5-3, 10-11 and 30-31; 20 and 23 are too far"
    assert measures.f1(np.array([4, 5, 3])) == pytest.approx(6 / 9)


def test_the_truth_is_perfect_and_silence_finds_nothing():
    [track] = played.tracks(None, "breakout", [5], 600, 1.0)
    perfect, silent = measures.Tally(), measures.Tally()
    perfect.add(track.sounds, track.sounds)
    silent.add(track.sounds, np.full_like(track.sounds, 128))
    assert perfect.row("").split() == ["1.000", "1.000", "1.000", "1.000", "100.0%", "1.000"]
    assert silent.row("").split() == ["0.000", "0.000", "0.000", "0.000", "0.0%", "0.000"]


def test_evaluate_tells_of_every_game_and_every_rule(shrunk, trained, capsys):
    words = ["--games", "pong", "--count", "2", "--seconds", "3", "--model", trained]
    told = COMMAND.text_of(capsys, "evaluate", *words)
    for words in ("the network", "always silent", "score changes", "another game's", "nearest frame", "at random"):
        assert words in told


# ---------------------------------------------------------------------------------------------------------------- Demo


def wave_of(path):
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return file.getframerate(), samples


def test_both_ears(trained, tmp_path, capsys):
    words = ["--game", "pong", "--seconds", "2", "--model", trained]
    COMMAND.text_of(capsys, *words, "--both", "-o", tmp_path / "both.wav")
    COMMAND.text_of(capsys, *words, "--true", "-o", tmp_path / "true.wav")
    (rate, both), (_, true) = wave_of(tmp_path / "both.wav"), wave_of(tmp_path / "true.wav")
    assert (rate, both.shape, true.shape) == (30_720, (61_440, 2), (61_440, 1))
    np.testing.assert_array_equal(both[:, 0], true[:, 0])
    assert {path.name for path in tmp_path.iterdir()} >= {"both.webp", "both.png", "true.webp", "true.png"}


def test_sound_for_a_film(trained, tmp_path, capsys):
    av = pytest.importorskip("av")
    COMMAND.text_of(capsys, "--game", "pong", "--seconds", "2", "--model", trained, "-o", tmp_path / "game.webm")
    COMMAND.text_of(capsys, tmp_path / "game.webm", "--model", trained, "-o", tmp_path / "made.webm")
    COMMAND.text_of(capsys, tmp_path / "game.webm", "--model", trained, "-o", tmp_path / "made.wav")
    with av.open(str(tmp_path / "made.webm")) as file:
        assert {stream.type for stream in file.streams} == {"video", "audio"}
    assert abs(len(wave_of(tmp_path / "made.wav")[1]) / 30_720 - 2) < 0.1


def test_frames_that_last_unequally_become_sixty_a_second():
    film = [(0.0, 1), (0.1, 2), (0.15, 3), (0.5, 4)]
    shown = list(output._steady((second, np.full((210, 160), value, np.uint8)) for second, value in film))
    assert [int(screen[0, 0]) for screen in shown] == [1] + [1] * 6 + [2] * 3 + [3] * 21 + [4]


def test_what_is_refused(tmp_path, capsys):
    assert "--game" in sentence(capsys, "x.webm", "--both") or "for a game" in sentence(capsys, "x.webm", "--both")
    assert "must end in" in sentence(capsys, "-o", tmp_path / "x.txt")
    assert "no Atari game" in sentence(capsys, "--game", "chess2")
    assert "no film" in sentence(capsys, tmp_path / "nothing.mp4")
    assert "--length must be" in sentence(capsys, "train", "--length", "512", "--frames", "256")


def test_without_pyav_there_are_sound_and_pictures(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(output, "has_video", lambda: False)
    monkeypatch.chdir(tmp_path)
    told = COMMAND.text_of(capsys, "--game", "pong", "--seconds", "1", "--model", trained)
    assert "pong.wav" in told
    names = {path.name for path in (tmp_path / "outputs/silent_film").iterdir()}
    assert names == {"pong.wav", "pong.webp", "pong.png"}


def test_a_network_goes_on_with_its_own_book(trained, tmp_path, monkeypatch, capsys):
    """With another seed the kinds would be others, and its answers would mean other sounds."""
    TOY.shrink(monkeypatch)
    words = [*TOY.train.split(), "--epochs", "1", "--seed", "2", "--init", trained, "--run", tmp_path / "more"]
    COMMAND.text_of(capsys, "train", *words)
    with np.load(trained / sounds.BOOK) as one, np.load(tmp_path / "more" / sounds.BOOK) as other:
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_it_says_which_games_it_knows(trained, tmp_path, capsys):
    words = ["--seconds", "1", "--model", trained, "-o", tmp_path / "game.wav"]
    assert main("--game", "tennis", *words) == 0
    assert "has learned from pong: elsewhere" in capsys.readouterr().err
    assert main("--game", "pong", *words) == 0
    assert "elsewhere" not in capsys.readouterr().err
