"""Faults of code told from faults of data: a changed library, a bug here or in a plug-in is no damaged file.

Readers turn what is wrong with a file into ValueError or OSError. What else comes out of them and is of one of `KINDS`
would come out of every recording: it ends the run, and says where it arose and with which versions.
Imports nothing of the toolbox but what shows names, so that every reader may use it.
"""

import inspect
import os
import platform
import sys
import sysconfig
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from dataset.files.names import shown
from settings.files import ROOT

DEBUG = "RPPG_DEBUG"  # environment: show the traceback of what becomes a sentence (--debug), in workers, too
KINDS = (TypeError, AttributeError, NameError, ImportError, NotImplementedError, SyntaxError)
PACKAGES = ("av", "opencv-python-headless", "numpy", "scipy", "pandas", "h5py", "mat73", "joblib")  # that read data
OURS = set("config.py dataset evaluation main.py neural_methods registry.py settings unsupervised_methods".split())
INSTALLED = {"site-packages", "dist-packages"}  # folders of packages, wherever they are
LIBRARIES = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class ProgramFault(RuntimeError):
    """An error of the toolbox, of a plug-in or of a library's version; the message says where, and names versions."""


def check(error: Exception, what: str) -> None:
    """Raise ProgramFault where `error`, which came out of a reader, is of one of KINDS; `what` names the recording."""
    if isinstance(error, ProgramFault):
        raise error
    if isinstance(error, KINDS):
        raise ProgramFault(_sentence(error, what)) from error


def is_own(error: Exception) -> bool:
    """Whether `error` is of one of KINDS and arose in our lines or a plug-in's: a call that a library does not know.

    For readers whose library fails in many ways on a damaged file: such an error arises inside of it.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, KINDS) and bool(frames) and _is_code(frames[-1].filename)


def place(error: BaseException) -> str:
    """File and line of ours, or of a plug-in, from which `error` came; '' when it passed none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_code(frame.filename)]
    return f"{_shown(Path(frames[-1].filename))}, line {frames[-1].lineno}" if frames else ""


def plugin_place(error: BaseException) -> str:
    """As `place`, where that line is not ours; '' for an error that arose in our lines."""
    where = place(error)
    return "" if not where or _is_ours(ROOT / where.rsplit(",", 1)[0]) else where


def definition(thing: Callable) -> str:
    """File and line of a function or method."""
    function = inspect.unwrap(thing)
    code = getattr(function, "__code__", None)
    return f"{_shown(Path(code.co_filename))}, line {code.co_firstlineno}" if code else repr(thing)


def show(error: BaseException) -> None:
    """Print the traceback of an `error` that costs one recording, where it was asked for."""
    if os.environ.get(DEBUG):
        show_always(error)


def show_always(error: BaseException) -> None:
    """Print the traceback of `error`, which may name a file by anything."""
    text = "".join(traceback.format_exception(error))
    print("\n".join(shown(line) for line in text.splitlines()), file=sys.stderr)


def versions() -> str:
    """Python and the packages that read data, with their versions."""
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def remedy() -> str:
    """How to get the versions that were tested with this Python."""
    file = Path("constraints", f"py{'.'.join(platform.python_version_tuple()[:2])}.txt")
    tested = f" -c {file}" if (ROOT / file).is_file() else ""
    return f"pip install -r requirements.txt{tested}"


def _sentence(error: Exception, what: str) -> str:
    where, text = place(error), " ".join(str(error).split())
    said = f"{what}: {type(error).__name__}: {text}" + (f" ({where})" if where else "")
    if where and not _is_ours(ROOT / where.rsplit(",", 1)[0]):
        return (
            f"{said}. This looks like a fault of that file or of a version, not of the recording. "
            f"Versions: {versions()}. Mend that line. If it is the data that are wrong, raise ValueError there: then "
            f"only this recording fails."
        )
    return (
        f"{said}. This looks like a fault of PulseScope or of the version of a package, not of the recording. "
        f"Versions: {versions()}. The versions that were tested: {remedy()}. If they fail, too, please report it with "
        f"what --debug shows."
    )


def _is_code(name: str) -> bool:
    """Whether this file of a traceback is neither of Python nor of an installed package."""
    path = Path(name)  # compiled packages name files of the machine that compiled them
    if not path.is_absolute() or not path.is_file() or INSTALLED & set(path.parts):
        return False
    return not any(path.resolve().is_relative_to(one) for one in LIBRARIES)


def _is_ours(path: Path) -> bool:
    path = path.resolve()
    return path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS


def _shown(path: Path) -> Path:
    """Relative to the repository where it lies in it."""
    path = path.resolve()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
