"""Train and test a network that decides whose heart it is; the weights go to models/: docs/pairing.md.

python -m tools.pairing.train                                   PairNet21 on rendered people
python -m tools.pairing.train base.architecture=PairRate        no training: rates are compared

The same as `python main.py --config_file configs/pairing/train_model.yaml`, but for the files in models/.
"""

import argparse
import sys

import config as settings
import main as program
from dataset.program import answer_of_whole
from tools.pairing.data import parser


def main(arguments: list[str] | None = None) -> int:
    """Train and test; 2 and one sentence for input that cannot be used."""
    made = parser(__doc__)
    made.add_argument("--restart", action="store_true", help="train anew although the run could be continued")
    asked = made.parse_intermixed_args(arguments)
    return answer_of_whole(lambda: run(asked))


def run(asked: argparse.Namespace) -> int:
    """What main.py does with these settings, then the files in models/."""
    from neural_methods.pairing import collect

    changed: list[settings.Override] = [*asked.override, *([("RESTART", True)] if asked.restart else [])]
    code = program.run_file(program.parse(["--config_file", asked.config_file]), asked.config_file, changed)
    made = collect(settings.load_config(asked.config_file, changed))
    print(f"Written: {', '.join(map(str, made))}")
    return code


if __name__ == "__main__":
    sys.exit(main())
