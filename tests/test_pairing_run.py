"""Pairs through the programs, on small pictures that pulse: data, training, test, files; bad data in one sentence."""

import csv
from pathlib import Path

import numpy as np
import pytest

from dataset.synthetic.layouts import write_layout
from dataset.synthetic.layouts.paired_ecg import write_bdf
from tests.pairing_programs import LISTS, content, settings
from tools.pairing import data as data_program
from tools.pairing import evaluate as evaluate_program
from tools.pairing import train as train_program


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Where the faces of fifteen people are kept for all tests of this file."""
    return tmp_path_factory.mktemp("faces")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, faces):
    """The folder of one training of two updates."""
    folder = tmp_path_factory.mktemp("trained")
    assert train_program.main(settings(folder, data=faces)) == 0
    return folder


def test_data_are_listed_and_people_are_in_one_part(tmp_path, faces, capsys):
    """Mappings and pairs of three parts, nobody in two; a second call makes nothing anew."""
    changes = settings(tmp_path, data=faces)
    assert data_program.main(changes) == 0
    rows = {name: list(csv.DictReader((tmp_path / "mappings" / f"{name}_mapping.csv").open()))
            for name in ("train", "val", "test")}  # fmt: skip
    people = [{row["person_id"] for row in part} for part in rows.values()]
    assert [len(part) for part in people] == [9, 3, 3] and not (people[0] & people[1] or people[1] & people[2])
    assert all(not Path(row["video_path"]).is_absolute() for part in rows.values() for row in part)
    lists = {path.name: path.read_bytes() for path in (tmp_path / "mappings").iterdir()}
    assert set(LISTS.values()) <= set(lists)
    capsys.readouterr()
    assert data_program.main(changes) == 0
    said = capsys.readouterr().out
    assert "Preprocessed" not in said and "making them" not in said and "3 people, 6 clips, 12 pairs" in said
    assert lists == {path.name: path.read_bytes() for path in (tmp_path / "mappings").iterdir()}


def test_a_training_leaves_its_files_and_is_not_done_twice(trained, faces, capsys):
    """Weights with all that goes with them; the second call only tests."""
    found = content(trained, data=faces)
    assert found["accuracy"]["n"] == 24 and set(found["methods"]) == {"PairRate (POS)", "oracle (true rates)"}
    models = trained / "models"
    assert {path.name for path in models.iterdir()} == {
        "pairing_PairNet21.pt", "pairing_PairNet21_metrics.json", "pairing_PairNet21_history.csv",
        "pairing_PairNet21_report.md",
    }  # fmt: skip
    capsys.readouterr()
    assert train_program.main(settings(trained, data=faces)) == 0
    assert "This training is finished" in capsys.readouterr().out


def test_weights_can_be_tested_by_themselves(trained, faces):
    """The same accuracy from the file alone, changed clips beside it."""
    model = str(trained / "models" / "pairing_PairNet21.pt")
    assert evaluate_program.main([*settings(trained, data=faces), "--model", model, "--perturb", "static", "grey"]) == 0
    again = content(trained, "MODEL.PAIR.PERTURB=[static, grey]", data=faces)
    assert again["accuracy"] == content(trained, data=faces)["accuracy"]
    assert set(again["perturbed"]) == {"static", "grey"}


def test_weights_that_were_trained_on_other_input_are_refused(trained, faces, capsys):
    """Grey frames for a network of colours: exit code 2, and what differs."""
    model = str(trained / "models" / "pairing_PairNet21.pt")
    changes = settings(trained, "data.grayscaled=True", data=faces)
    assert evaluate_program.main([*changes, "--model", model]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: ") and "GREY" in said and "Traceback" not in said


def test_rates_are_compared_without_a_training(tmp_path, faces):
    """PairRate is right on clear pulses, and is the baseline on its own trials."""
    more = ("base.architecture=PairRate", "data.duration=10")
    assert train_program.main(settings(tmp_path, *more, data=faces)) == 0
    found = content(tmp_path, *more, data=faces)
    assert found["accuracy"]["accuracy"] == 1.0 == found["methods"]["PairRate (POS)"]["accuracy"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("data.min_delta_hr=150",), "no two people's rates differ by 150 bpm"),
        (("TRAIN.DATA.PEOPLE=3", "VALID.DATA.PEOPLE=3", "TEST.DATA.PEOPLE=3"), "pairs need two people"),
        (("data.source=nowhere",), "Known: synthetic, from_rppg, paired_ecg"),
        (("base.architecture=PairNet22",), "Did you mean 'PairNet21'"),
    ],
)
def test_data_that_make_no_pair_end_in_a_sentence(tmp_path, faces, capsys, more, words):
    """Exit code 2."""
    assert train_program.main(settings(tmp_path, *more, data=faces)) == 2
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said


@pytest.mark.slow
def test_videos_with_biosemi_files_make_pairs_and_one_without_triggers_is_named(tmp_path, capsys):
    """The layout of the thesis: six people, two in each part; then a file whose triggers are gone: exit code 2."""
    small = {"PRESET": "easy", "SUBJECTS": 6, "SECONDS": 8.0, "WIDTH": 160, "HEIGHT": 120, "FACE_SIZE": 0.6}
    files = write_layout("PairedECG", tmp_path / "original", small)
    changes = [one for one in settings(tmp_path) if not one.startswith(("data.source", "base.dataset"))]
    changes = [one for one in changes if not any(key in one for key in ("PEOPLE", "LASTS", "DO_CROP_FACE"))]
    changes += [f"paths.raw_data_path={tmp_path / 'original'}", "data.source=paired_ecg", "data.training_set_size=0.4"]
    assert data_program.main(changes) == 0
    rows = list(csv.DictReader((tmp_path / "mappings" / "test_pairs.csv").open()))
    assert rows and all(40 < float(row["hr1"]) < 130 and row["person_id1"] != row["person_id2"] for row in rows)
    write_bdf(files[0], {name: np.zeros(2048 * 8) for name in ("EXG1", "EXG2", "EXG3", "Status")}, 2048)
    capsys.readouterr()
    assert data_program.main(changes) == 2
    said = capsys.readouterr()
    assert "no trigger 2" in said.out + said.err and "Traceback" not in said.err
