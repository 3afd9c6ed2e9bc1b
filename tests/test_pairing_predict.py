"""python -m tools.pairing.predict: one answer for two videos, one sentence for what cannot be used."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from dataset.files.frames import VideoError
from evaluation.consensus import Answer
from tests.test_pairing_data import write_bdf
from tools.pairing.predict import main
from unsupervised_methods import choosing

COURSE = SimpleNamespace()
KNOWN = {
    "slow.mp4": Answer("slow", rate=55.0, course=COURSE),
    "fast.mp4": Answer("fast", rate=90.0, course=COURSE),
    "dark.mp4": Answer("dark", rate=70.0, course=COURSE, reason="the rate holds 3% of what changes the colour"),
    "black.mp4": Answer("black", rate=70.0, course=COURSE, reason="the methods disagree"),
    "short.mp4": Answer("short", reason="the wave of POS lasts 2.4 s; 5 s are needed for a rate"),
}


@pytest.fixture
def videos(tmp_path, monkeypatch):
    """A folder of names, and what measuring them says; `wall.mp4` shows no face."""
    for name in (*KNOWN, "wall.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "copy.mp4").write_bytes(b"fast.mp4")

    def measure(path):
        if path.name == "wall.mp4":
            raise VideoError("No face in the first 5 s (detector HC). Set NO_FACE.")
        return KNOWN[path.name]

    monkeypatch.setattr(choosing, "measure", measure)
    return tmp_path


def asked(folder, first, second, *heart):
    """The exit code, and what the JSON file holds (None without one)."""
    out = folder / "answer.json"
    out.unlink(missing_ok=True)
    code = main(["--video1", str(folder / first), "--video2", str(folder / second), *heart, "--json", str(out)])
    return code, json.loads(out.read_text()) if out.exists() else None


def test_the_nearer_rate_wins_and_swapped_videos_swap_the_probabilities(videos):
    """For the heart of each of the two."""
    for rate, right in (("57", 0), ("88", 1)):
        code, found = asked(videos, "slow.mp4", "fast.mp4", "--hr", rate)
        _, other = asked(videos, "fast.mp4", "slow.mp4", "--hr", rate)
        assert code == 0 and found["reliable"] and found["reason"] == ""
        assert found["probabilities"][right] > 0.9 and sum(found["probabilities"]) == pytest.approx(1.0)
        assert found["probabilities"] == pytest.approx(other["probabilities"][::-1], abs=1e-12)


def test_without_a_reliable_pulse_there_is_no_probability(videos, capsys):
    """Of both: exit code 3 and the reasons. Of one: the other decides, and it is said."""
    code, found = asked(videos, "dark.mp4", "black.mp4", "--hr", "70")
    assert code == 3 and found["probabilities"] is None and not found["reliable"]
    assert "Neither video" in found["reason"] and "disagree" in capsys.readouterr().out
    code, found = asked(videos, "dark.mp4", "fast.mp4", "--hr", "89")
    assert code == 0 and found["probabilities"][1] > 0.8 and "One video shows no reliable pulse" in found["reason"]


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("gone.mp4", "fast.mp4", "no such video"),
        ("fast.mp4", "fast.mp4", "the same video"),
        ("copy.mp4", "fast.mp4", "the same video"),
        ("short.mp4", "fast.mp4", "short.mp4: the wave of POS lasts 2.4 s; 5 s are needed"),
        ("fast.mp4", "wall.mp4", "wall.mp4: No face in the first 5 s"),
    ],
)
def test_videos_that_cannot_be_used_end_in_a_sentence(videos, capsys, first, second, words):
    """Exit code 2, the video by name, no file."""
    code, found = asked(videos, first, second, "--hr", "70")
    said = capsys.readouterr().err
    assert code == 2 and found is None and words in said and said.startswith("Error: ") and "Traceback" not in said


@pytest.mark.parametrize(
    ("option", "content", "words"),
    [
        ("--hr", "250", "give one from 35 to 200"),
        ("--rr", "800\n", "1 intervals between beats: 2 are needed"),
        ("--rr", "800\nlong\n", "something else than intervals"),
        ("--rr", "0.8\n0.9\n0.8\n", "read as milliseconds"),
        ("--rr", "", "0 intervals between beats: 2 are needed"),
        ("--rr", "8" * 200_000, "is no table"),
        ("--hr", "nan", "give one from 35 to 200"),
        ("--ecg", "nothing", "is no BDF file"),
    ],
)
def test_hearts_that_cannot_be_end_in_a_sentence(videos, capsys, option, content, words):
    """Exit code 2; a file is named."""
    value = content
    if option != "--hr":
        (videos / "heart.txt").write_text(content)
        value = str(videos / "heart.txt")
    code, found = asked(videos, "slow.mp4", "fast.mp4", option, value)
    said = capsys.readouterr().err
    assert code == 2 and found is None and words in said and "Traceback" not in said
    assert option == "--hr" or "heart.txt" in said


def test_an_ecg_without_triggers_ends_in_a_sentence(videos, capsys):
    """Exit code 2, the file by name."""
    path = write_bdf(videos / "heart.bdf", np.zeros(2048 * 3), {})
    code, found = asked(videos, "slow.mp4", "fast.mp4", "--ecg", str(path))
    said = capsys.readouterr().err
    assert code == 2 and found is None and "no trigger 2" in said and "heart.bdf" in said and "Traceback" not in said


def test_a_heart_may_come_as_intervals_or_as_an_ecg(videos):
    """A table with a heading, and a BioSemi recording whose R peaks come 90 times a minute."""
    (videos / "rr.csv").write_text("time,rr_ms\n0,1090\n1,1100\n2,1080\n")
    _, found = asked(videos, "slow.mp4", "fast.mp4", "--rr", str(videos / "rr.csv"))
    assert found["heart_rate"] == pytest.approx(55.05, abs=0.1) and found["probabilities"][0] > 0.9
    clock = np.arange(2048 * 12) / 2048
    wave = 30_000 * np.exp(-(((clock * 1.5) % 1.0 - 0.5) ** 2) / 2e-4)
    path = write_bdf(videos / "heart.bdf", wave, {2048: 2, 2048 * 11: 8})
    _, found = asked(videos, "slow.mp4", "fast.mp4", "--ecg", str(path))
    assert found["heart_rate"] == pytest.approx(90.0, abs=0.5) and found["probabilities"][1] > 0.9


def test_a_model_of_another_kind_is_refused(videos, capsys):
    """Weights of a network for waves, and of the thesis, each by name."""
    for method, words in (("Physnet", "reads other input than pairs"), ("legacy_cnn21", "cannot choose")):
        path = videos / f"{method}.pth"
        path.with_suffix(".json").write_text(json.dumps({"format": 1, "method": method}))
        path.write_bytes(b"")
        code, _ = asked(videos, "slow.mp4", "fast.mp4", "--hr", "70", "--model", str(path))
        assert code == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize(("content", "words"), [(None, "no such file of weights"), (b"?", "does not say what network")])
def test_a_file_that_is_no_model_is_refused_before_videos_are_measured(videos, monkeypatch, capsys, content, words):
    """Exit code 2 and its name."""
    monkeypatch.setattr(choosing, "measure", lambda path: pytest.fail("measured"))
    path = videos / "model.pt"
    if content is not None:
        path.write_bytes(content)
    code, _ = asked(videos, "slow.mp4", "fast.mp4", "--hr", "70", "--model", str(path))
    said = capsys.readouterr().err
    assert code == 2 and words in said and "model.pt" in said and "Traceback" not in said


@pytest.mark.slow
def test_two_rendered_people_through_a_trained_network(tmp_path):
    """Real files, the weights of a short training: probabilities of both orders add up to one."""
    from dataset.synthetic.layouts import write_layout
    from tools.pairing.train import main as train

    places = {"data_dir_path": "d", "val_data_path": "v.csv", "test_data_path": "t.csv", "train_data_path": "r.csv",
              "model_path": "models", "log_path": "runs"}  # fmt: skip
    changes = [f"paths.{key}={tmp_path / value}" for key, value in places.items()]
    small = ["data.people=6", "data.seconds=10", "data.training_set_size=0.4", "data.pairs_per_epoch=4",
             "params.epochs=1", "data.size=32"]  # fmt: skip
    assert train([*changes, *small]) == 0
    write_layout("Folder", tmp_path / "own", {"PRESET": "easy", "SUBJECTS": 2, "SECONDS": 11.0, "CODEC": "h264"})
    first, second = sorted((tmp_path / "own").rglob("*.mp4"))
    model = ("--hr", "70", "--model", str(tmp_path / "models" / "pairing_PairNet21.pt"))
    one, other = (asked(tmp_path, a, b, *model)[1]["probabilities"] for a, b in ((first, second), (second, first)))
    assert one == pytest.approx(other[::-1], abs=1e-6)
