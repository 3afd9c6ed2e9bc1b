"""Test weights of tools.pairing.train on the people of its test part, with clips that were changed beside them.

python -m tools.pairing.evaluate --model models/pairing_PairNet21.pt
python -m tools.pairing.evaluate --model models/pairing_PairNet21.pt --perturb inverted masked static grey shuffled_time
"""

import argparse
import sys

import config as settings
from dataset.program import answer_of_whole
from tools.pairing.data import parser


def main(arguments: list[str] | None = None) -> int:
    """Test; 2 and one sentence for input that cannot be used."""
    made = parser(__doc__)
    add = made.add_argument
    add("--model", required=True, metavar="FILE", help="weights of tools.pairing.train")
    add("--perturb", nargs="+", default=[], metavar="HOW", help="inverted, masked, static, grey, shuffled_time")
    asked = made.parse_intermixed_args(arguments)
    return answer_of_whole(lambda: run(asked))


def run(asked: argparse.Namespace) -> None:
    """What main.py does behind a training."""
    from neural_methods.pairing import evaluate

    perturbed = [("MODEL.PAIR.PERTURB", list(asked.perturb))] if asked.perturb else []
    evaluate(settings.load_config(asked.config_file, [*asked.override, *perturbed]), asked.model)


if __name__ == "__main__":
    sys.exit(main())
