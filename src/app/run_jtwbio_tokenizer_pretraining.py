"""Pre-train the joint tokenizer of CM-SSL.

python3 -m src.app.run_jtwbio_tokenizer_pretraining --config src/configs/jtwbio_tokenizer_config.yaml

The same as `python main.py --config_file configs/cmssl/tokenizer.yaml` with the keys that the arguments stand for:
neural_methods/cmssl_command.py.
"""

import sys

import main as program
from dataset.program import answer
from neural_methods import cmssl_command


def main(arguments: list[str] | None = None, stage: str = "tokenizer") -> int:
    """Train; 2 and one sentence for input that cannot be used."""
    words = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(words):
        print(__doc__, cmssl_command.__doc__)
        return 0
    return answer(lambda: run(words, stage))


def run(words: list[str], stage: str) -> int:
    """What main.py does with these settings."""
    asked = cmssl_command.pretraining(words, stage)
    return program.run_file(program.parse(["--config_file", str(asked.file)]), str(asked.file), asked.overrides)


if __name__ == "__main__":
    sys.exit(main())
