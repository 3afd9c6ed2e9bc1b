"""Blood pressures from ECG and PPG: fine-tune pre-trained encoders, or a small network: docs/blood_pressure_model.md.

python train_bp.py --npz_dir npz --labels_csv labels.csv --out_dir out --pretrain 1_lead_ECGFounder.pth
python train_bp.py --npz_dir npz --labels_csv labels.csv --out_dir out --encoder small
python train_bp.py --npz_dir npz --labels_csv labels.csv --out_dir again --eval_only --ckpt out/bp_best.pth

The same as `python main.py --config_file configs/bp/KAILUAN_BOTH.yaml` with the keys that the flags stand for.
Research software, no medical device.
"""

import sys

import config as settings
import main as program
from dataset.program import answer_of_whole
from neural_methods import bp_command, bp_files


def main(arguments: list[str] | None = None) -> int:
    """Train and test, or test; 2 and one sentence for input that cannot be used."""
    asked = bp_command.parser(__doc__).parse_args(arguments)
    return answer_of_whole(lambda: run(asked))


def run(asked) -> int:
    """What main.py does with these settings, then the files of the output folder."""
    file, changed = str(bp_command.file_of(asked)), bp_command.overrides(asked)
    code = program.run_file(program.parse(["--config_file", file]), file, changed)
    config = settings.load_config(file, changed)
    made = bp_files.collect(config, settings.run_folder(config), asked.out_dir, bp_command.arguments_of(asked))
    print(f"Written to {asked.out_dir}: {', '.join(path.name for path in made)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
