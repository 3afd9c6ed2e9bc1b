"""The table of all neural methods in README.md: size, cost, input, paper, known weights, time on this machine.

python tools/model_card.py            measure (minutes), write the table between its two marker lines, print it
python tools/model_card.py --check    compare all but the measured column; exit code 1 when the table is out of date
"""

import argparse
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, from any folder

from config import ROOT, load_config
from dataset.signals import PULSE_WAVE
from neural_methods.described import clips_file
from registry import METHODS
from tools.benchmark.measure import conditions

README = ROOT / "README.md"
BEGIN, END = "<!-- model card -->", "<!-- /model card -->"
COLUMNS = ("method", "parameters", "MACs per frame", "one clip", "paper", "known weights", "ms per clip")
VARIANTS = {  # further rows: options that make another network
    "FactorizePhys": {
        "FSAM": ["MODEL.FactorizePhys.MD_FSAM=True"],
        "Big, FSAM": ["MODEL.FactorizePhys.MD_FSAM=True", "MODEL.FactorizePhys.TYPE=Big", "{resize}=128"],
    },
}
PAGES = {"GridPulse": "docs/own_weights.md"}  # networks of this project
OWN = {"GridPulse": "drawn signals, no recording of anybody (MIT, in this repository)"}
LICENCE = "RAIL 1.1"  # of all weights that rPPG-Toolbox released
WEIGHTS = {  # what they were trained on
    "BigSmall": "BP4D+",
    "DeepPhys": "PURE, UBFC-rPPG, SCAMPS, BP4D+ (pseudo-labels), MA-UBFC",
    "EfficientPhys": "PURE, UBFC-rPPG, SCAMPS, iBVP, BP4D+ (pseudo-labels), MA-UBFC",
    "FactorizePhys (FSAM)": "PURE, UBFC-rPPG, SCAMPS, iBVP",
    "iBVPNet": "PURE",
    "PhysFormer": "PURE, UBFC-rPPG, SCAMPS",
    "PhysMamba": "PURE, UBFC-rPPG",
    "Physnet": "PURE, UBFC-rPPG, SCAMPS, BP4D+ (pseudo-labels), MA-UBFC",
    "RhythmFormer": "PURE, UBFC-rPPG",
    "Tscan": "PURE, UBFC-rPPG, SCAMPS, BP4D+ (pseudo-labels), MA-UBFC",
}


@dataclass(frozen=True)
class Row:
    """One network: its cells as text; `measured` is '' when it was not timed."""

    facts: tuple[str, ...]
    measured: str = ""

    def line(self) -> str:
        """The Markdown line."""
        return f"| {' | '.join([*self.facts, self.measured])} |"


class CardError(ValueError):
    """README.md has no place for the table."""


def main(arguments: Sequence[str] | None = None, page: Path = README) -> int:
    """Write or check the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with README.md, write nothing")
    asked = parser.parse_args(arguments)
    try:
        text = page.read_text(encoding="utf-8")
        old = inside(text)
        if asked.check:
            return check(old, [row(*which, repeats=0) for which in networks()])
        new = table([row(*which) for which in networks()])
        page.write_text(text.replace(f"{BEGIN}{old}{END}", f"{BEGIN}\n{new}\n{END}"), encoding="utf-8")
    except CardError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(new)
    return 0


def inside(text: str) -> str:
    """What stands between the two marker lines; CardError when they are not there once each, in order."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise CardError(
            f"README.md has no place for the table: put the two lines\n    {BEGIN}\n    {END}\nonce, where it belongs."
        )
    return text.partition(BEGIN)[2].partition(END)[0]


def table(rows: Sequence[Row]) -> str:
    """The Markdown table, with what its columns mean."""
    return "\n".join(
        [
            f"| {' | '.join(COLUMNS)} |",
            f"|{' --- |' * len(COLUMNS)}",
            *(row.line() for row in rows),
            "",
            "MACs: multiply-accumulate operations of convolutions and matrix products in one forward pass, divided by",
            "the frames of the clip. Known weights: the data sets on which rPPG-Toolbox trained the files it released,",
            f"and their licence. ms per clip: forward pass, batch of one, median of 3, on {conditions()}",
        ]
    )


def check(old: str, rows: Sequence[Row]) -> int:
    """0 when every row stands in the table, measured column aside, and no other; else 1, and it says which."""
    lines = [line for line in old.splitlines() if line.startswith("|")]
    found = [tuple(cell.strip() for cell in line.strip("|").split("|")[:-1]) for line in lines]
    found, wanted = found[2:], [row.facts for row in rows]
    for facts in wanted:
        if facts not in found:
            print(f"README.md lacks this row: {Row(facts).line()}", file=sys.stderr)
    for facts in found:
        if facts not in wanted:
            print(f"README.md has a row of no network: {Row(facts).line()}", file=sys.stderr)
    if found == wanted:
        print(f"The table of README.md is up to date: {len(rows)} networks.")
        return 0
    print("The table is out of date: python tools/model_card.py writes it.", file=sys.stderr)
    return 1


# ---------------------------------------------------------------------- one network


def is_listed(trainer: type) -> bool:
    """Whether a method reads faces and gives a pulse wave: those the table is of."""
    return trainer.needs.reads_video and PULSE_WAVE in trainer.heads


def networks() -> list[tuple[str, str, list[str]]]:
    """(method, variant, overrides) of every row: all that measure the pulse in faces, and variants, other networks."""
    return [
        (name, variant, changes)
        for name in METHODS.names()
        if is_listed(METHODS[name])
        for variant, changes in {"": [], **VARIANTS.get(name, {})}.items()
    ]


def row(name: str, variant: str = "", changes: Sequence[str] = (), repeats: int = 3) -> Row:
    """The row of a method with published clips; timed `repeats` times, 0: not timed."""
    config = settings(name, changes)
    trainer = METHODS[name](config, device="cpu")
    network = trainer.build().eval()
    batch, shape = clip(trainer)
    frames = shape[2]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        trainer.forward(network, batch)
    title = f"{name} ({variant})" if variant else name
    facts = (
        title,
        f"{sum(parameter.numel() for parameter in network.parameters()):,}",
        f"{counter.get_total_flops() / 2 / frames / 1e6:,.1f} M",
        f"{frames} x {shape[3]} x {shape[4]}, {'+'.join(trainer.data_types)}",
        paper(network),
        f"{WEIGHTS[title]} ({LICENCE})" if title in WEIGHTS else OWN.get(title, "none"),
    )
    return Row(facts, f"{milliseconds(trainer, network, batch, repeats):.0f}" if repeats else "")


def settings(name: str, changes: Sequence[str]) -> Any:
    """A configuration of the method with its published clips."""
    clips = clips_file(name)
    data = [str(ROOT / "configs" / "base" / "data" / "Synthetic.yaml"), *([str(clips)] if clips else [])]
    overrides = [f"MODEL.NAME={name}", "DEVICE=cpu"]
    for section in ("TRAIN", "TEST"):
        overrides += [f"{section}.DATA.BASE={data}", f"{section}.DATA.PREPROCESS.CROP_FACE.DO_CROP_FACE=False"]
    for change in changes:
        key, _, value = change.partition("=")
        sides = [f"{section}.DATA.PREPROCESS.RESIZE.{side}" for section in ("TRAIN", "TEST") for side in "HW"]
        overrides += [f"{place}={value}" for place in (sides if key == "{resize}" else [key])]
    return load_config(ROOT / "configs" / "base" / "train_and_test.yaml", overrides)


def clip(trainer: Any) -> tuple[dict[str, Any], tuple[int, ...]]:
    """A prepared batch of one clip of noise, and the shape (1, C, T, H, W) it had before."""
    frames = trainer.chunk_length - trainer.chunk_length % trainer.time_multiple
    shape = (1, 3 * len(trainer.data_types), frames, *trainer.frame_size)
    video = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    return trainer.prepare({"video": video, "ppg": torch.zeros(1, frames), "recording": ["noise"]}), shape


@torch.no_grad()
def milliseconds(trainer: Any, network: nn.Module, batch: dict[str, Any], repeats: int) -> float:
    """Median time of a forward pass after the one that counted operations."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        trainer.forward(network, batch)
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times)


def paper(network: nn.Module) -> str:
    """Authors and place of the paper, linked, from the docstring of the network's file; its page where it is ours."""
    if type(network).__name__ in PAGES:
        return f"[ours]({PAGES[type(network).__name__]})"
    text = " ".join((sys.modules[type(network).__module__].__doc__ or "").split())
    found = re.search(r'\. ([^."]+?(?: et al\.)?), "[^"]+", ([^"]+?), (https?://\S+?)[.;]?(?: |$)', text)
    return f"[{found[1]}, {found[2]}]({found[3]})" if found else ""


if __name__ == "__main__":
    sys.exit(main())
