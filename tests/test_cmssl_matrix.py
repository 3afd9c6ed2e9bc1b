"""The matrix of teachers and students: which runs it makes, and its table."""

from pathlib import Path

from evaluation.comparing.paired import Difference
from tools import cmssl_matrix

KNOWN = {"valid/top1": 0.25, "valid/chance": 0.125, "validation": 2.5, "valid/entropy": 4.0}


def test_cmssl_matrix_trains_every_teacher_and_student_and_probes_each(tmp_path, monkeypatch, capsys):
    """Three tokenizers, six encoders of them, six probes beside those of two untrained networks; a line for each."""
    trained, probed = [], []

    def run(file, changes):
        trained.append((Path(file).stem, changes))
        return tmp_path

    def finetuned(task, path, name, changes):
        probed.append((task, Path(path).name, name, changes))
        return tmp_path / name

    monkeypatch.setattr(cmssl_matrix, "run", run)
    monkeypatch.setattr(cmssl_matrix, "finetuned", finetuned)
    monkeypatch.setattr(cmssl_matrix, "best_validation", lambda folder: KNOWN)
    monkeypatch.setattr(cmssl_matrix, "score_of", lambda folder: ("MAE hr", 3.0))
    monkeypatch.setattr(cmssl_matrix, "difference", lambda first, second: Difference(-1.0, -2.0, -0.5, 12))
    small = ["DEVICE=cpu", "TRAIN.EPOCHS=1", "MODEL.TOKENIZER.CODES=16", "MODEL.TOKENENCODER.WIDTH=16"]
    assert cmssl_matrix.main(["--out", str(tmp_path / "matrix"), *small]) == 0
    tokenizers = [changes for stem, changes in trained if stem == "tiny_tokenizer"]
    encoders = [changes for stem, changes in trained if stem == "tiny_encoder"]
    assert [one["MODEL.TOKENIZER.CHANNELS"] for one in tokenizers] == [["ecg", "ppg"], ["ecg"], ["ppg"]]
    taught = [(Path(one["MODEL.TOKENENCODER.TOKENIZER"]).stem, one["MODEL.TOKENENCODER.CHANNEL"]) for one in encoders]
    assert taught == [(f"tokenizer_{who}", student) for who in ("joint", "ECG", "PPG") for student in ("ecg", "ppg")]
    assert all(one["TRAIN.EPOCHS"] == 1 and "MODEL.TOKENENCODER.WIDTH" not in one for one in tokenizers)
    assert all(one["MODEL.TOKENENCODER.WIDTH"] == 16 and "MODEL.TOKENIZER.CODES" not in one for one in encoders)
    bundles = {Path(one["TRAIN.BUNDLE"]).name for one in encoders}
    assert len(bundles) == 6 and {path for _, path, *_ in probed} == bundles
    assert {task for task, path, *_ in probed if "_ecg_" in path} == {"synth_rhythm"}
    assert [changes.get("MODEL.FINETUNE.INIT") for *_, changes in probed] == [None, "random"] * 2 + [None] * 4
    assert all(changes["DEVICE"] == "cpu" and "TRAIN.EPOCHS" not in changes for *_, changes in probed)
    lines = (tmp_path / "matrix" / "matrix.md").read_text().splitlines()[2:]
    assert len(lines) == 6 and lines[1].startswith(
        "| joint | PPG | 25.0 | 12.5 | 2.500 | 4.000 | synth_hr | MAE hr 3.000"
    )
    assert "-1.000 [-2.000, -0.500]" in capsys.readouterr().out
