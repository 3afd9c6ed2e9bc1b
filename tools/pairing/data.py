"""Make the data for pairing ready and list them: people, clips, pairs, each part of the split with people of its own.

python -m tools.pairing.data                        what configs/pairing/train_model.yaml says: rendered people
python -m tools.pairing.data data.source=from_rppg base.dataset=PURE paths.raw_data_path=/data/PURE
"""

import argparse
import sys
from pathlib import Path

import config as settings
from dataset.program import answer_of_whole

DEFAULT = settings.ROOT / "configs" / "pairing" / "train_model.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Prepare and list; 2 and one sentence for input that cannot be used."""
    asked = parser(__doc__).parse_args(arguments)
    return answer_of_whole(lambda: run(asked))


def parser(description: str) -> argparse.ArgumentParser:
    """The command line that the programs of training share."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("override", nargs="*", metavar="KEY=VALUE", help="such as params.lr=1e-4 or MODEL.PAIR.SPEED=0")
    made.add_argument("--config_file", default=str(DEFAULT), metavar="FILE", help="(configs/pairing/train_model.yaml)")
    return made


def run(asked: argparse.Namespace) -> None:
    """What is done already is not done again."""
    from neural_methods.pairing import write_mappings

    loaded = settings.read(asked.config_file, asked.override)
    pair = loaded.config.MODEL.PAIR
    folder = Path(pair.TEST_PAIRS).parent if pair.TEST_PAIRS else settings.run_folder(loaded.config)
    if loaded.config.OVERWRITE:
        for path in (pair.VALID_PAIRS, pair.TEST_PAIRS):
            Path(path).unlink(missing_ok=True)
    for part, words in write_mappings(loaded.config, folder).items():
        print(f"{part}: {words}")
    print(f"Lists: {folder}")


if __name__ == "__main__":
    sys.exit(main())
