"""The Kailuan file as one .npz per record and a table of labels: see docs/blood_pressure_data.md.

python prepare_kailuan_npz.py --h5_path X.h5 --output_npz npz --output_csv labels.csv --target_cols right_arm_sbp
"""

import argparse
import sys
from pathlib import Path

from dataset.prepare.kailuan import MODES, NORMALIZERS, RESAMPLERS, Settings, prepare, remarks, summary
from dataset.program import BAD_INPUT, answer


def main(arguments: list[str] | None = None) -> int:
    """Prepare what is asked for; 2 for input that cannot be used, and when nothing was exported."""
    asked = parser().parse_args(arguments)
    return answer(lambda: run(asked))


def run(asked: argparse.Namespace) -> int:
    """Write the files and say what was done."""
    lists = {name: tuple(getattr(asked, name)) for name in ("target_cols", "subject_key")}
    settings = Settings(**{**vars(asked), **lists})
    for line in remarks(settings):
        print(line, flush=True)
    outcome = prepare(settings)
    for line in summary(settings, outcome):
        print(line)
    return 0 if outcome.rows else BAD_INPUT


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add, flag = parser.add_argument, argparse.BooleanOptionalAction
    add("--h5_path", type=Path, required=True, help="the study's file")
    add("--output_npz", type=Path, required=True, help="folder of the <ssoid>.npz files")
    add("--output_csv", type=Path, required=True, help="the table of labels")
    add("--id_key", default="new_id", help="the column that names a record (new_id)")
    add("--target_cols", nargs="+", required=True, help="columns to export, in this order")
    add("--target_seq_len", type=int, default=7500, help="samples after resampling (7500)")
    add(
        "--align_mode", choices=MODES, default=MODES[0], help="trim_resample; truncate: not resampled; resample: legacy"
    )
    add("--ppg_lead_trim", type=lambda text: None if text == "auto" else int(text), help="samples (auto)")
    add("--resample", choices=RESAMPLERS, default="linear", help="polyphase: without aliases")
    add("--fs", type=float, default=600.0, help="samples per second of the study's signals (600)")
    add("--subject_key", nargs="+", default=[], metavar="COLUMN", help="columns that name a person, such as name sex")
    add("--pseudonymize_ids", action=flag, default=True, help="hashes in place of ids")
    add("--id_map_csv", type=Path, help="private table: id and hash")
    add("--lowercase_ids", action="store_true")
    add("--overwrite", action="store_true", help="make files again that are there")
    add("--limit", type=int, default=0, metavar="N", help="only the first N records")
    add("--normalize", choices=NORMALIZERS, default="none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
