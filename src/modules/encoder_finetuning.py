"""Fine-tune a pre-trained encoder of CM-SSL on a task.

torchrun --nproc_per_node=4 --rdzv_endpoint=localhost:29500 -m src.modules.encoder_finetuning model=encoder
python -m src.modules.encoder_finetuning model=encoder experiment=synth_hr training.finetune_mode=linear_probing

The same as `python main.py --config_file configs/cmssl/experiment/<experiment>.yaml` with the keys that the arguments
stand for; beside its report it leaves checkpoints/best_finetuned_model.pth, test_predictions.npz and a row in a table.
"""

import os
import sys

import config as settings
import main as program
from dataset.program import answer
from neural_methods import cmssl_command, cmssl_files


def main(arguments: list[str] | None = None) -> int:
    """Fine-tune and test; 2 and one sentence for input that cannot be used."""
    words = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(words):
        print(__doc__, cmssl_command.__doc__)
        return 0
    return answer(lambda: run(words))


def run(words: list[str]) -> int:
    """What main.py does with these settings, then the further files."""
    asked = cmssl_command.finetuning(words)
    code = program.run_file(program.parse(["--config_file", str(asked.file)]), str(asked.file), asked.overrides)
    if os.environ.get("RANK", "0") == "0" and not code:
        config = settings.load_config(str(asked.file), asked.overrides)
        run_folder = settings.run_folder(config)
        made = cmssl_files.collect(config, run_folder, asked.summary, asked.model, asked.experiment)
        print(f"Written: {', '.join(map(str, made))}")
    return code


if __name__ == "__main__":
    sys.exit(main())
