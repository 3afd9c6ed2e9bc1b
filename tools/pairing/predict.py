"""Whose heart is it? Two videos and a heart rate: the probability that it is the first one's, and the second one's.

python -m tools.pairing.predict --video1 a.mp4 --video2 b.mp4 --hr 72
python -m tools.pairing.predict --video1 a.mp4 --video2 b.mp4 --rr intervals.csv --json answer.json
python -m tools.pairing.predict --video1 a.mp4 --video2 b.mp4 --ecg heart.bdf --model models/pairing_PairNet21.pt

Without --model the rates of both videos are measured and compared. Where neither shows a reliable pulse there is no
probability, and the exit code is 3. Research software, no medical device.
"""

import argparse
import sys
from pathlib import Path

from dataset.program import INCOMPLETE, answer


def main(arguments: list[str] | None = None) -> int:
    """Decide; 2 and one sentence for input that cannot be used, 3 where there is no reliable pulse."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = made.add_argument
    add("--video1", required=True, type=Path, metavar="FILE", help="a video of one person")
    add("--video2", required=True, type=Path, metavar="FILE", help="a video of another")
    heart = made.add_mutually_exclusive_group(required=True)
    heart.add_argument("--hr", type=float, metavar="BPM", help="the heart rate")
    heart.add_argument("--rr", type=Path, metavar="FILE", help="or its intervals between beats in ms, one a line")
    heart.add_argument("--ecg", type=Path, metavar="FILE", help="or a BioSemi recording (.bdf) from trigger 2 to 8")
    add("--model", default="", metavar="FILE", help="weights of tools.pairing.train; without: rates are compared")
    add("--json", type=Path, metavar="FILE", help="write the answer there, too")
    add("--device", default="auto", help="auto, cpu or cuda:N (auto)")
    asked = made.parse_args(arguments)
    return answer(lambda: run(asked))


def run(asked: argparse.Namespace) -> int:
    """Print the answer and write it."""
    from dataset.files.writing import write_whole
    from unsupervised_methods.choosing import as_json, choose, heart_from

    heart = heart_from(asked.hr, asked.rr, asked.ecg)
    more = {}
    if asked.model:
        from neural_methods.pairing import logit_of, require_choosing  # torch: only where a network decides

        require_choosing(asked.model)  # before both videos are measured
        more = {"logit": lambda videos, one: logit_of(asked.model, videos, one, asked.device), "method": asked.model}
    found = choose(asked.video1, asked.video2, heart, **more)
    print(*found.lines, sep="\n")
    if asked.json:
        write_whole(asked.json, as_json(found))
        print(f"Written: {asked.json}")
    return 0 if found.reliable else INCOMPLETE


if __name__ == "__main__":
    sys.exit(main())
