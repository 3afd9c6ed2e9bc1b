"""The matrix of CM-SSL: who teaches (ECG and PPG, ECG, PPG), and who learns (ECG, PPG).

    python -m tools.cmssl_matrix [--tokenizer FILE] [--encoder FILE] [--ecg-task NAME] [--ppg-task NAME] [KEY=VALUE ...]

Three tokenizers, six encoders, and a probe of each on the task of its signal beside one of random weights. Runs that
are finished are not done again. KEY=VALUE are settings of the two pre-trainings; those of the machine (DEVICE,
LOG.PATH) hold for the probes, too.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from dataset.program import answer
from evaluation.comparing.paired import difference
from evaluation.report import markdown_table
from evaluation.tables import write_text
from neural_methods.cmssl_command import CONFIGS, parsed
from neural_methods.cmssl_runs import PROBE, RANDOM, best_validation, finetuned, run, score_of

TEACHERS = {"joint": ["ecg", "ppg"], "ECG": ["ecg"], "PPG": ["ppg"]}
STUDENTS = ("ecg", "ppg")
OF_TRAININGS = ("TRAIN", "VALID", "TEST", "MODEL", "SPLIT", "INFERENCE")  # settings that probes have of their own
COLUMNS = [
    "teacher", "student", "token right [%]", "commonest token [%]", "loss", "entropy", "task", "score of a probe",
    "error less than with random weights [95 % over people]",
]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Train all and print the table; 2 and one sentence for input that cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--tokenizer", type=Path, default=CONFIGS / "tiny_tokenizer.yaml", help="configuration of stage 1")
    add("--encoder", type=Path, default=CONFIGS / "tiny_encoder.yaml", help="configuration of stage 2")
    add("--ecg-task", default="synth_rhythm", help="experiment for encoders of the ECG (%(default)s)")
    add("--ppg-task", default="synth_hr", help="experiment for encoders of the PPG (%(default)s)")
    add("--out", type=Path, default=Path("runs/cmssl/matrix"), help="folder of weights and table (%(default)s)")
    add("changes", nargs="*", metavar="KEY=VALUE", help="settings of the pre-trainings")
    asked = parser.parse_args(arguments)
    return answer(lambda: show(asked))


def show(asked: argparse.Namespace) -> int:
    """Train all and print the table."""
    changes, _ = parsed(asked.changes)
    rows: list[list[str]] = []
    untrained: dict[str, Path] = {}
    for teacher, channels in TEACHERS.items():
        path = str(asked.out / f"tokenizer_{teacher}.pth")
        own = {
            "MODEL.TOKENIZER.CHANNELS": channels,
            "TRAIN.BUNDLE": path,
            "TRAIN.MODEL_FILE_NAME": f"teacher_{teacher}",
        }
        run(asked.tokenizer, {**_of(changes, "TOKENENCODER"), **own})
        rows += [_row(asked, changes, teacher, student, path, untrained) for student in STUDENTS]
    text = markdown_table(COLUMNS, rows)
    print(f"\n{text}\n\nWritten to {write_text(asked.out / 'matrix.md', text + chr(10))}.")
    return 0


def _row(
    asked: argparse.Namespace, changes: dict[str, Any], teacher: str, student: str, tokenizer: str,
    untrained: dict[str, Path],
) -> list[str]:  # fmt: skip
    """A line of the table; `untrained` collects the probe of random weights of each student, who has no teacher."""
    name = f"{student}_of_{teacher}"
    path = str(asked.out / f"encoder_{name}.pth")
    own = {
        "MODEL.TOKENENCODER.TOKENIZER": tokenizer, "MODEL.TOKENENCODER.CHANNEL": student, "TRAIN.BUNDLE": path,
        "TRAIN.MODEL_FILE_NAME": f"encoder_{name}",
    }  # fmt: skip
    known = best_validation(run(asked.encoder, {**_of(changes, "TOKENIZER"), **own}))
    task = getattr(asked, f"{student}_task")
    everywhere = {key: value for key, value in changes.items() if key.partition(".")[0] not in OF_TRAININGS}
    probe = finetuned(task, path, f"probe_{name}", {**everywhere, **PROBE})
    if student not in untrained:
        untrained[student] = finetuned(task, path, f"probe_random_{student}", {**everywhere, **PROBE, **RANDOM})
    metric, score = score_of(probe)
    found = difference(probe, untrained[student])
    return [
        teacher, student.upper(), f"{100 * known['valid/top1']:.1f}", f"{100 * known['valid/chance']:.1f}",
        f"{known['validation']:.3f}", f"{known['valid/entropy']:.3f}", task, f"{metric} {score:.3f}",
        f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]",
    ]  # fmt: skip


def _of(changes: dict[str, Any], other: str) -> dict[str, Any]:
    """The changes without those of the other stage's method."""
    return {key: value for key, value in changes.items() if not key.startswith(f"MODEL.{other}.")}


if __name__ == "__main__":
    sys.exit(main())
