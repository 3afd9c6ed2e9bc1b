"""Pairs through the programs, on small pictures that pulse: data, training, test, files; bad data in one sentence."""

import csv
import json
from pathlib import Path

import pytest

from config import load_config, run_folder
from registry import import_plugin
from tests.conftest import ROOT
from tools.pairing import data as data_program
from tools.pairing import evaluate as evaluate_program
from tools.pairing import train as train_program

SHIPPED = ROOT / "configs" / "pairing" / "train_model.yaml"
LISTS = {"val": "val_pairs.csv", "test": "test_pairs.csv", "train": "train_pairs.csv"}


@pytest.fixture(scope="module", autouse=True)
def _pulsing():
    import_plugin(Path(__file__).parent / "plugins" / "pulsing.py")


def settings(folder: Path, *more: str, **pulsing) -> list[str]:
    """Overrides that train on pictures that pulse, with everything in `folder`."""
    paths = [f"paths.{name}_data_path={folder / 'mappings' / file}" for name, file in LISTS.items()]
    paths += [f"paths.{key}={folder / value}" for key, value in
              {"data_dir_path": "data", "log_path": "runs", "model_path": "models"}.items()]  # fmt: skip
    small = {"data.source": "from_rppg", "base.dataset": "PULSING", "data.size": 16, "data.pairs_per_epoch": 16,
             "params.epochs": 1, "params.patience": 0, "data.duration": 5}  # fmt: skip
    own = {"PEOPLE": 15, "LASTS": 10.0, **pulsing}
    sections = ("TRAIN", "VALID", "TEST")
    keys = [f"{part}.DATA.{key}={value}" for part in sections for key, value in own.items()]
    keys += [f"{part}.DATA.PREPROCESS.CROP_FACE.DO_CROP_FACE=False" for part in sections]
    return [*paths, *(f"{key}={value}" for key, value in small.items()), *keys, "PREPROCESS_WORKERS=1",
            "MODEL.PAIR.PERMUTATIONS=99", "base.device=cpu", *more]  # fmt: skip


def content(folder: Path, *more: str, **pulsing) -> dict:
    """What metrics.json of a run says of its pairs."""
    run = run_folder(load_config(SHIPPED, settings(folder, *more, **pulsing)))
    return json.loads((run / "metrics.json").read_text())["heads"]["pair"]


def test_data_are_listed_and_people_are_in_one_part(tmp_path, capsys):
    """Mappings and pairs of three parts, nobody in two; a second call makes nothing anew."""
    changes = settings(tmp_path)
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


def test_a_training_leaves_its_files_and_can_be_tested_again(tmp_path, capsys):
    """Weights with all that goes with them; the same accuracy from the file alone, changed clips beside it."""
    assert train_program.main(settings(tmp_path)) == 0
    found = content(tmp_path)
    assert found["accuracy"]["n"] == 24 and set(found["methods"]) == {"PairRate (POS)", "oracle (true rates)"}
    models = tmp_path / "models"
    assert {path.name for path in models.iterdir()} == {
        "pairing_PairNet21.pt", "pairing_PairNet21_metrics.json", "pairing_PairNet21_history.csv",
        "pairing_PairNet21_report.md",
    }  # fmt: skip
    assert evaluate_program.main([*settings(tmp_path), "--model", str(models / "pairing_PairNet21.pt"), "--perturb",
                                  "static", "grey"]) == 0  # fmt: skip
    again = content(tmp_path, "MODEL.PAIR.PERTURB=[static, grey]")
    assert again["accuracy"] == found["accuracy"] and set(again["perturbed"]) == {"static", "grey"}
    capsys.readouterr()
    assert train_program.main(settings(tmp_path)) == 0
    assert "This training is finished" in capsys.readouterr().out


def test_rates_are_compared_without_a_training(tmp_path):
    """PairRate is right on clear pulses, and is the baseline on its own trials."""
    assert train_program.main(settings(tmp_path, "base.architecture=PairRate", "data.duration=10")) == 0
    found = content(tmp_path, "base.architecture=PairRate", "data.duration=10")
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
def test_data_that_make_no_pair_end_in_a_sentence(tmp_path, capsys, more, words):
    """Exit code 2."""
    assert train_program.main(settings(tmp_path, *more)) == 2
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said
