"""Run one configuration: python main.py --config_file X.yaml [KEY=VALUE ...]

Knows modes and registries, but no data set and no method by name. What a mode does is one function elsewhere, imported
when it is needed, so that classical methods start without torch.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import config as settings
from dataset import faults, progress
from dataset.own_videos import own_videos
from dataset.program import INTERRUPTED, tell
from registry import DATASETS, DETECTORS, KINDS, METHODS, METRICS, MODES, UNSUPERVISED, import_plugin
from settings.modes import Mode, mode_of

DOCTOR = Mode("doctor", (), run="dataset.doctor.run:run")  # --doctor: of the data of any mode
SHARDED = "preprocess"  # what --shard makes of any mode
USER_ERRORS = (ValueError, OSError, LookupError, ImportError, RuntimeError, MemoryError)
MERGED = "=> Merging a config file from "  # rPPG-Toolbox's words for a file that is read
READER_GONE = 141  # exit code
EXAMPLES = """examples:
  python main.py                                               the synthetic demo: classical methods
  python main.py --config_file configs/demo/physnet.yaml       train and test PhysNet on synthetic faces
  python main.py --config_file X.yaml TRAIN.LR=1e-3 DEVICE=cpu any key of the file can be overridden
  python main.py --video me.mp4                                the pulse in your own video, or in many: *.mp4 a/ b/
  python main.py --video me.mp4 --method net.onnx              by a network (or --method Physnet --weights FILE.pth)
  python main.py --signal ppg.csv --fs 100                     the same in files of contact PPG or ECG (.csv .hea .edf)
  python main.py --live                                        a page for your camera; cam:0 for one without a browser
  python main.py --live --method GridPulse                     by the network that comes with it
  python main.py --config_file X.yaml --doctor                 what is wrong with the recordings it reads?
  python main.py --list                                        names of data sets, methods and metrics
  python main.py --check configs/infer_configs/*.yaml          are these files right? Nothing is run
  python main.py --config_file X.yaml --shard 3/8              preprocess part 3 of 8: for job arrays
Data roots: RPPG_DATA=/data finds /data/PURE, /data/UBFC-rPPG ...; RPPG_CACHE=/scratch/cache holds preprocessed faces.
Exit codes: 0 fine, 1 an error in input or settings, or --doctor found something bad, or --replay other numbers, 2 wrong
usage, 3 recordings failed or have no reliable rate, 130 interrupted.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    asked = parse(arguments)
    if asked.debug:
        os.environ[faults.DEBUG] = "1"
    try:
        for path in asked.plugin:
            import_plugin(Path(path))
        if asked.list:
            return show_names()
        if asked.check:
            return check_files(asked.check, [*overrides(asked), *asked.override])
        if asked.live:
            return live(asked.live, asked.method, asked.weights)
        return replay(asked) if asked.replay else run(asked)
    except KeyboardInterrupt:
        print(
            "\nInterrupted. Finished recordings and saved states are kept; the same command continues.", file=sys.stderr
        )
        return INTERRUPTED
    except Exception as error:
        return tell(error, USER_ERRORS, code=1)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The arguments, with the KEY=VALUE that follow the files of --check and --video where they belong."""
    asked = parser().parse_intermixed_args(arguments)
    if asked.check:
        asked.check = _without_settings(asked.check, asked.override)
    if (asked.method or asked.weights) and not (asked.video or asked.live):
        parser().error("arguments --method and --weights: they say who measures with --video or --live")
    if asked.faces and not asked.video:
        parser().error("argument --faces: it is about the videos that --video names")
    if asked.live is not None and (asked.override or asked.config_file or asked.video or asked.signal):
        parser().error("argument --live: takes no settings, configuration or files beside it")
    if asked.export_lists is not None and (not asked.config_file or asked.doctor or asked.shard or asked.replay):
        parser().error("argument --export_lists: needs --config_file, and neither --doctor, --shard nor --replay")
    for option in ("video", "signal"):
        if names := getattr(asked, option):
            setattr(asked, option, kept := _without_settings(names, asked.override))
            if not kept:
                parser().error(f"argument --{option}: name at least one file or folder")
    return asked


def _without_settings(names: list[str], override: list[str]) -> list[str]:
    """The `names` that are no KEY=VALUE; those join `override`."""
    moved = [name for name in names if "=" in name and not Path(name).exists()]
    override += moved
    return [name for name in names if name not in moved]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="main.py",
        usage="python main.py [--config_file X.yaml] [KEY=VALUE ...] [options]",
        description="Measure the pulse from video and other sensors, as one YAML file says.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("override", nargs="*", metavar="KEY=VALUE", type=_key_value, help="settings that win over the file")
    add("--config_file", metavar="FILE", help="the YAML file to run; without it: the synthetic demo")
    add("--list", action="store_true", help="show the registered names and stop")
    add("--show_config", action="store_true", help="print all settings of the run, not only those that differ")
    add("--check", nargs="+", metavar="FILE", help="load and check files (or folders of them) without running them")
    add("--plugin", action="append", default=[], metavar="PATH", help="a .py file or folder whose registrations count")
    add("--video", metavar="FILE", nargs="+", action="extend", help="use these videos, or folders of them, as the data")
    add("--method", default="", metavar="NAME", help="with --video, --live: who measures; a method or an .onnx file")
    add("--weights", default="", metavar="FILE", help="with --method: weights of that network (.pth, .safetensors)")
    add("--faces", default="", choices=("one", "all"), help="with --video: all: an answer for each face of a video")
    add("--overlay", action="store_true", help="with --video: write the videos with region, wave and rate drawn in")
    add("--signal", metavar="FILE", nargs="+", action="extend", help="the rate in these files of contact PPG or ECG")
    add("--fs", type=float, metavar="HZ", help="SIGNAL.FS: samples per second of tables without times")
    add("--channel", metavar="NAME", help="SIGNAL.CHANNEL: which column; without: the clearest")
    add(
        "--live", metavar="WHERE", nargs="?", const="page", help="the pulse as it comes: a local page, cam:0, file:CLIP"
    )
    add("--synthesize", action="store_true", help="fill empty DATA_PATHs with a synthetic miniature in the real layout")
    add("--doctor", action="store_true", help="examine the recordings instead of running: a table and an HTML page")
    add("--export_lists", metavar="FOLDER", help="write what each section reads as lists for FILE_LIST_PATH, and stop")
    add("--preprocess", action="store_true", help="DO_PREPROCESS=True: read again what changed, is damaged or failed")
    add("--overwrite", action="store_true", help="read everything again, also what is in the cache and unchanged")
    add("--shard", metavar="I/N", help="only preprocess, and only part I (1 to N) of the recordings: for job arrays")
    add("--dask", metavar="ADDRESS", help="preprocess on the workers of this dask scheduler, such as tcp://node1:8786")
    add("--restart", action="store_true", help="train anew although the run could be continued")
    add("--cached_path", metavar="FOLDER", help="CACHED_PATH of every section")
    add("--lr", type=float, metavar="RATE", help="TRAIN.LR")
    add("--model_file_name", metavar="NAME", help="TRAIN.MODEL_FILE_NAME")
    add("--replay", metavar="RUN", help="repeat a run elsewhere and compare every number")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _key_value(text: str) -> str:
    if "=" in text:
        return text
    hint = f"; did you mean --config_file {text}" if text.lower().endswith((".yaml", ".yml")) else ""
    raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE{hint}")


def overrides(asked: argparse.Namespace) -> list[str]:
    """All flags that stand for keys as KEY=VALUE; the ones written out come after them and win."""
    everywhere = {"DO_PREPROCESS": asked.preprocess or None, "CACHED_PATH": asked.cached_path}
    named = {
        "OVERWRITE": asked.overwrite or None,
        "SHARD": asked.shard,
        "DASK": asked.dask,
        "RESTART": asked.restart or None,
        "TRAIN.LR": asked.lr,
        "TRAIN.MODEL_FILE_NAME": asked.model_file_name,
        "UNSUPERVISED.OVERLAY": asked.overlay or None,
        "SIGNAL.FS": asked.fs,
        "SIGNAL.CHANNEL": asked.channel,
    }
    for key, value in everywhere.items():
        named |= {f"{section}.DATA.{key}": value for section in settings.SECTIONS}
    return [f"{key}={value}" for key, value in named.items() if value is not None]


def live(place: str, method: str, weights: str) -> int:
    """Measure as it comes, on a page or in the terminal."""
    from neural_methods.chosen import live as chosen_live
    from unsupervised_methods.live.run import run as run_live

    return run_live(place, chosen_live(method, weights) if method or weights else None)


def run(asked: argparse.Namespace) -> int:
    """Run what the file, the videos or the demo say."""
    file, changed = asked.config_file, [*overrides(asked), *asked.override]
    if asked.video:
        file, who = _who_measures(asked, changed)
        file, own = own_videos(file, asked.video, [*who, *changed], asked.faces)
        changed = [*overrides(asked), *own, *who, *asked.override]
    if asked.signal:
        file = file or str(settings.DEFAULT_FILE.with_name("own_signals.yaml"))
        changed = [*overrides(asked), ("SIGNAL.FILES", [os.path.abspath(one) for one in asked.signal]), *asked.override]
    if file is None:
        return demo(asked, changed)
    return run_file(asked, file, changed)


def _who_measures(
    asked: argparse.Namespace, changed: list[settings.Override]
) -> tuple[str | None, list[settings.Override]]:
    """The file to run on own videos, and what --method and --weights stand for."""
    if not (asked.method or asked.weights):
        return asked.config_file, []
    from neural_methods.chosen import chosen

    return chosen(asked.method, asked.weights, asked.config_file, changed)


def demo(asked: argparse.Namespace, changed: list[settings.Override]) -> int:
    """What runs when nothing is named: the classical methods on easy recordings, and on hard ones beside them."""
    easy, hard = settings.DEFAULT_FILE.with_name("classical_easy.yaml"), settings.DEFAULT_FILE
    print(f"No --config_file: the synthetic demo. First {easy}: people who sit still and have a strong pulse.")
    code = run_file(asked, str(easy), changed)
    if code:
        return code
    print(
        f"\nNow {hard}: people who move, under changing light, in compressed video, with a weak pulse. Classical "
        "methods miss many of these rates: that is the recordings' doing. The other files beside it show other runs.\n"
    )
    return run_file(asked, str(hard), changed)


def run_file(asked: argparse.Namespace, file: str, changed: list[settings.Override]) -> int:
    """Load, check, print and run one file."""
    loaded = settings.read(file, changed, new_paths=asked.synthesize)
    show(loaded, asked.show_config, "" if asked.config_file else file, kept=asked.export_lists is None)
    if asked.synthesize:
        synthesize(loaded.config)
    progress.want(bool(loaded.config.LOG.BARS))
    if asked.export_lists is not None:
        return export_lists(loaded.config, asked.export_lists)
    _require_folder(Path(loaded.config.LOG.PATH))
    mode = DOCTOR if asked.doctor else MODES[SHARDED] if loaded.config.SHARD else mode_of(loaded.config)
    if _speaks():
        write_what_runs(loaded.config, mode)
    code = mode.function()(loaded.config)
    return code if isinstance(code, int) else 0


def export_lists(config: Any, folder: str) -> int:
    """Write the splits of all sections as files."""
    from neural_methods.lists import export

    return export(config, Path(folder))


def write_what_runs(config: Any, mode: Mode) -> None:
    """Settings, machine and code into the run's folder; what a run has left there is no examination's to change."""
    from evaluation import provenance, run_files  # here: --list and --check need no numbers

    if mode is DOCTOR and (settings.run_folder(config) / provenance.PROVENANCE).is_file():
        return
    run_files.write_run_files(config)
    provenance.begin(config)


def replay(asked: argparse.Namespace) -> int:
    """Repeat the run in a folder into a new one; 0 when every number is the same, else 1."""
    from evaluation import replay

    plan = replay.planned(Path(asked.replay), [*overrides(asked), *asked.override])
    print(f"Repeating {plan.old} into {plan.root}")
    code = run_file(asked, str(plan.file), plan.overrides)
    return code or replay.compared(plan)


def _require_folder(path: Path) -> None:
    """ValueError, before hours of work, when results could not be written to `path`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        problem = "" if os.access(path, os.W_OK) else "Permission denied"
    except OSError as error:
        problem = "it is a file" if path.is_file() else error.strerror
    if problem:
        raise ValueError(f"LOG.PATH '{path}' cannot be written: {problem}. Set it to a folder you may write to.")


def _speaks() -> bool:
    """Whether this process prints and writes for the run: one of several does."""
    return os.environ.get("RANK", "0") == "0"


def show(loaded: settings.Loaded, everything: bool = False, own: str = "", kept: bool = True) -> None:
    """Print where the settings come from, those that are no defaults (or `everything`), and what may not be meant.

    `own`: the file that was taken because none was named; of its settings only those that were changed are printed.
    `kept`: whether all of them are written into the folder of a run.
    """
    if not _speaks():
        return
    whole = settings.run_folder(loaded.config) / "config.yaml"
    if everything:
        print(*loaded.log, f"Configuration:\n{loaded.config}\n", sep="\n")
    elif own:
        merged = [line.removeprefix(MERGED) for line in loaded.log if line.startswith(MERGED)]
        of_files = tuple(f"({Path(file).name})" for file in merged)
        print(*(line for line in loaded.log if not line.startswith(MERGED)), f"Settings: {own}", sep="\n")
        print(*(f"  {line}" for line in loaded.changes if not line.endswith(of_files)), sep="\n")
        print(f"All of them: {whole} (--show_config prints them)\n")
    else:
        print(*loaded.log, "Configuration, where it differs from the defaults:", sep="\n")
        where = f"{whole} (--show_config prints it)" if kept else "--show_config prints it"
        print(*(f"  {line}" for line in loaded.changes), f"All of it: {where}\n", sep="\n")
    for warning in loaded.warnings:
        print(f"Warning: {warning}")
    sys.stdout.flush()


def synthesize(config: Any) -> None:
    """Fill the empty DATA_PATHs of the used sections with rendered recordings in the layout of their data set.

    Raises ValueError where somebody's files would be mixed with rendered ones.
    """
    for section in settings.used_sections(config):
        data = config[section].DATA
        if DATASETS[data.DATASET].generated:
            continue  # renders its own
        if not data.DATA_PATH:
            raise ValueError(f"--synthesize needs a folder: {section}.DATA.DATA_PATH=FOLDER")
        options = {key: value for key, value in data.get("SYNTHETIC", {}).items() if value is not None}
        write_miniature(data.DATASET, Path(data.DATA_PATH), options)


def write_miniature(dataset: str, root: Path, options: dict[str, Any]) -> None:
    """Render `dataset` into `root` unless it holds other files; a call that was interrupted is completed."""
    from dataset.synthetic.layouts import write_layout

    mark, made = root / ".synthetic.json", json.dumps({"DATASET": dataset, **options}, sort_keys=True)
    if mark.is_file() and mark.read_text() != made:
        raise ValueError(
            f"--synthesize: {root} was made with other settings ({mark.read_text()}). Name another folder."
        )
    if not mark.is_file() and root.is_dir() and any(root.iterdir()):
        raise ValueError(f"--synthesize: {root} holds files of yours; nothing is written there. Name another folder.")
    root.mkdir(parents=True, exist_ok=True)
    mark.write_text(made)
    print(f"Writing a synthetic miniature of {dataset} into {root}.", flush=True)
    write_layout(dataset, root, options)


def show_names() -> int:
    """Print every registry."""
    for title, registry in (
        ("Data sets (DATASET)", DATASETS),
        ("Neural methods (MODEL.NAME)", METHODS),
        ("Classical methods (UNSUPERVISED.METHOD)", UNSUPERVISED),
        ("Metrics (METRICS)", METRICS),
        ("Face detectors (CROP_FACE.BACKEND)", DETECTORS),
        ("Kinds of output (heads of a method)", KINDS),
        ("Modes (TOOLBOX_MODE)", MODES),
    ):
        print(f"{title}: {', '.join(registry.listed())}")
        for module, package in registry.absent().items():
            print(f"  {module} is not available: package {package!r} is not installed")
    return 0


def check_files(names: list[str], changed: list[str]) -> int:
    """Load and check files without running them; a line each; 1 when any failed."""
    files = [file for name in names for file in (sorted(Path(name).glob("*.yaml")) if Path(name).is_dir() else [name])]
    failed = 0
    for file in files:
        try:
            loaded = settings.read(file, changed)
            remarks = "; ".join(loaded.warnings)
            print(f"passed  {file}" + (f"  ({remarks})" if remarks else ""))
        except USER_ERRORS as error:
            failed += 1
            print(f"FAILED  {error}" if str(error).startswith(str(file)) else f"FAILED  {file}: {error}")
    print(f"{len(files) - failed} passed, {failed} failed")
    return 1 if failed or not files else 0


class ReaderGone(BaseException):
    """Whoever read what this program prints has left, as `| head` does; no fault of a recording or a setting."""


class Printed:
    """Standard output that ends the program when its reader leaves: an OSError would pass for damaged data."""

    def __init__(self, stream: Any):
        """Write to `stream`."""
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        """Everything else as `stream` has it."""
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Print `text`."""
        return self._tried(self.stream.write, text)

    def flush(self) -> None:
        """Print what is still held back."""
        self._tried(self.stream.flush)

    def _tried(self, action: Callable[..., Any], *values: Any) -> Any:
        try:
            return action(*values)
        except BrokenPipeError:
            raise ReaderGone from None


def open_outputs() -> None:
    """Make both outputs such that anything can be printed, here and in workers: what is closed goes nowhere.

    A letter that the terminal does not know, such as a Chinese one under Latin-1, is spelt out.
    """
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:  # closed, as by `>&-`; the next file to be opened would take its number
            place = os.open(os.devnull, os.O_RDWR)
            if place != number:
                os.dup2(place, number)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    os.environ["PYTHONIOENCODING"] = f"{sys.stdout.encoding}:backslashreplace"


def program() -> int:
    """`main` for a shell; 141, as the shell has it for a closed pipe, when the reader of the output leaves."""
    open_outputs()
    sys.stdout = Printed(sys.stdout)
    try:
        try:
            return main()
        finally:
            sys.stdout.flush()
    except ReaderGone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still held back goes there
        return READER_GONE


if __name__ == "__main__":
    sys.exit(program())
