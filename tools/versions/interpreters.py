"""The Python interpreters of this machine that the toolbox may run on, one per version.

python -m tools.versions.interpreters [--but 3.11]      a path a line, oldest first
"""

import argparse
import os
import shutil
import subprocess
from pathlib import Path

OLDEST, NEWEST = 10, 15  # of Python 3
VARIABLE = "PULSESCOPE_PYTHONS"  # further interpreters: paths with ':' between them
QUESTION = (
    "import sys, venv, ensurepip; v = sys.version_info; "
    "print('%d.%d' % v[:2] if v[0] == 3 and v.releaselevel == 'final' else '', sys.executable, sep='\\n')"
)


def interpreters() -> dict[str, Path]:
    """Path by version such as "3.12", oldest first: those named in the environment, then of PATH, then of pyenv."""
    found: dict[str, Path] = {}
    for candidate in _candidates():
        version, path = ask(candidate)
        if version and OLDEST <= int(version.split(".")[1]) <= NEWEST:
            found.setdefault(version, path)
    return dict(sorted(found.items(), key=lambda item: int(item[0].split(".")[1])))


def ask(candidate: str | Path) -> tuple[str, Path]:
    """("3.12", its own path) of an interpreter; ("", candidate) of what is none, or cannot make environments."""
    try:
        answer = subprocess.run([candidate, "-c", QUESTION], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return "", Path(candidate)
    lines = answer.stdout.splitlines()
    if answer.returncode or len(lines) != 2:
        return "", Path(candidate)
    return lines[0], Path(lines[1])


def _candidates() -> list[str]:
    named = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    on_path = [shutil.which(f"python3.{minor}") for minor in range(OLDEST, NEWEST + 1)]
    ours = sorted(map(str, _pyenv().glob("versions/3.*/bin/python")), reverse=True)
    return [*named, *filter(None, on_path), *ours]


def _pyenv() -> Path:
    """The folder of pyenv; one that is not there where it is not installed."""
    if os.environ.get("PYENV_ROOT"):
        return Path(os.environ["PYENV_ROOT"])
    if shutil.which("pyenv"):
        return Path(subprocess.run(["pyenv", "root"], capture_output=True, text=True).stdout.strip() or "nowhere")
    return Path.home() / ".pyenv"


def main() -> None:
    """Print the paths."""
    parser = argparse.ArgumentParser(description="Python interpreters of this machine, a path a line.")
    parser.add_argument("--but", default="", metavar="VERSION", help="leave this version out, such as 3.11")
    left_out = parser.parse_args().but
    for version, path in interpreters().items():
        if version != left_out:
            print(path)


if __name__ == "__main__":
    main()
