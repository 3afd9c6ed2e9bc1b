"""Weights out: a network as one ONNX file, which measures without torch (`main.py --video V --method FILE.onnx`).

python -m tools.export --weights w.pth --to onnx                      what its sidecar says
python -m tools.export --weights w.pth --to onnx --method Physnet     no sidecar: as published
python -m tools.export --weights w.pth --to onnx --config_file X.yaml  no sidecar: as that file says
python -m tools.export --table                                      measure all methods, write the table of docs/onnx.md
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from dataset.files.names import shown  # noqa: E402  (the repository root must be importable first)
from dataset.files.writing import write_whole  # noqa: E402
from dataset.program import EXPECTED, answer  # noqa: E402
from neural_methods.described import NoWaveError, described  # noqa: E402
from neural_methods.exporting import Exported, ExportError, export  # noqa: E402
from registry import METHODS, import_plugin  # noqa: E402
from unsupervised_methods.onnx_file import packages  # noqa: E402

PAGE = ROOT / "docs" / "onnx.md"
BEGIN, END = "<!-- exported -->", "<!-- /exported -->"
FRAMES = 40  # of a clip for the table: a multiple of what most methods need, and minutes instead of an hour
COLUMNS = ("method", "exported", "compared on", "labels", "largest difference to torch", "MB")


def main(arguments: Sequence[str] | None = None, page: Path = PAGE) -> int:
    """Export, or write the table; returns the exit code."""
    asked = parser().parse_args(arguments)
    if not (asked.table or asked.weights):
        parser().error("name the weights: --weights FILE.pth")
    return answer(lambda: run(asked, page), (*EXPECTED, ImportError, RuntimeError), code=1)


def run(asked: argparse.Namespace, page: Path) -> None:
    """Do what is asked."""
    for path in asked.plugin:
        import_plugin(Path(path))
    if asked.table:
        write_table(page)
    else:
        say(one_file(asked), asked.weights)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("changes", nargs="*", metavar="KEY=VALUE", help="settings that win, such as MODEL.FactorizePhys.MD_FSAM=True")
    add("--weights", metavar="FILE", help="a file of weights, .pth or .safetensors")
    add("--to", choices=["onnx"], default="onnx", help="what it becomes")
    add("--method", default="", metavar="NAME", help="whose weights they are, where no sidecar file says so")
    add("--config_file", metavar="FILE", help="the configuration they were trained with, where nothing else says it")
    add("--output", metavar="FILE", help="where it is written; without it <name of the weights>.onnx, here")
    add("--plugin", action="append", default=[], metavar="PATH", help="a .py file or folder whose registrations count")
    add("--table", action="store_true", help="measure all methods and write the table of docs/onnx.md (minutes)")
    return parser


def one_file(asked: argparse.Namespace) -> Exported:
    """Export what was asked for."""
    packages()
    config = described(asked.weights, asked.method, asked.config_file, asked.changes, device="cpu").config
    trainer = made(config)
    path = Path(asked.output or f"{Path(asked.weights).stem}.onnx")
    return export(trainer, trainer.load(asked.weights), path)


def made(config: Any) -> Any:
    """The trainer of a configuration, on the CPU; ValueError where its settings do not fit it."""
    trainer = METHODS[config.MODEL.NAME](config, device="cpu")
    trainer.check_section(f"{trainer.section}.DATA")
    return trainer


def say(found: Exported, weights: str) -> None:
    """Print what was written and what it expects."""
    expects = found.expects
    height, width = expects.size
    print(
        f"{found.path}: {shown(expects.method)} with {weights}, {found.size / 1e6:.1f} MB. It reads clips of "
        f"{expects.frames} frames of {width}x{height} pixels, {'+'.join(expects.data_types)}, at {expects.fs:g} per "
        f"second, of {f'the face box x {expects.box:g}' if expects.box else 'the whole picture'}; labels "
        f"{expects.label_type}.\nLargest difference to torch: {found.parity:.1e} of the wave's largest value.\n"
        f"Measure with it: python main.py --video FILES --method {found.path}"
    )


# ---------------------------------------------------------------------- the table


def write_table(page: Path) -> None:
    """Export every method with fresh weights, print a line each, write them between the marks of `page`."""
    from tools.model_card import networks

    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{page} has no place for the table: put the lines {BEGIN} and {END} once, where it belongs.")
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    print(*lines, sep="\n", flush=True)
    for which in networks():
        lines.append(row(*which))
        print(lines[-1], flush=True)
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    write_whole(page, "\n".join([before + BEGIN, *lines, END + after]))


def row(name: str, variant: str, changes: Sequence[str]) -> str:
    """The line of one network: how exact it is on a short clip of its published size, or why it is not exported."""
    from tools.model_card import settings

    title = f"{name} ({variant})" if variant else name
    short = [f"{section}.DATA.PREPROCESS.CHUNK_LENGTH={FRAMES}" for section in ("TRAIN", "TEST")]
    trainer = METHODS[name](settings(name, [*changes, *short]), device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = export(trainer, trainer.build(), Path(folder, "network.onnx"), batches=(1,))
        except (ExportError, NoWaveError) as error:
            return f"| {title} | no: {error} | - | - | - | - |"
    expects = found.expects
    clip = f"{expects.frames} x {expects.size[0]} x {expects.size[1]}, {'+'.join(expects.data_types)}"
    cells = [title, "yes", clip, expects.label_type, f"{found.parity:.0e}", f"{found.size / 1e6:.1f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
