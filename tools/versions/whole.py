"""The whole suite with every Python of this machine and every level of versions; the table docs/versions.md.

python -m tools.versions.whole [--only 3.11/lowest 3.12/locked] [--torch "torch==2.13.0 --index-url <index>"]

Environments are kept in `.versions/`; each holds a build of torch. A level that has just the versions of another is not
run twice. A row is written when its run has ended; the others stay.
"""

import argparse
import datetime
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from tools.versions import environment
from tools.versions.environment import LEVELS, ROOT
from tools.versions.interpreters import interpreters

PAGE = ROOT / "docs" / "versions.md"
FOLDER = ROOT / ".versions"
SHOWN = ("torch", "numpy", "scipy", "opencv-python-headless", "av", "pandas")
HEAD = f"""# Tried with

The whole suite (`make test`), run by `make test-versions`. lowest: the lower bounds of requirements.txt; locked:
`constraints/`, what `make demo` and `make test` install; newest: the newest that requirements.txt allows, on that date.
A test is skipped where it is about a GPU, a file that is not part of the repository, or a defect that only some
versions have.

| Python | versions | passed | failed | skipped | minutes | date | {" | ".join(SHOWN)} |
| --- | --- | --- | --- | --- | --- | --- | {" | ".join("---" for _ in SHOWN)} |
"""


@dataclass(frozen=True)
class Counts:
    """What became of the tests of one run, and how long it took."""

    passed: int
    failed: int
    skipped: int
    minutes: float


def main() -> int:
    """Run what was asked for; 1 when a test failed or an environment could not be made."""
    parser = argparse.ArgumentParser(description="Run the whole suite with every Python and every level of versions.")
    parser.add_argument("--only", nargs="+", default=[], metavar="PYTHON/LEVEL", help="such as 3.11/lowest")
    parser.add_argument("--torch", default="torch==2.13.0", help="what pip installs first")
    asked, good = parser.parse_args(), True
    for version, python in interpreters().items():
        for level in LEVELS:
            if asked.only and f"{version}/{level}" not in asked.only:
                continue
            print(f"Python {version}, {level} versions ...", flush=True)
            row, passed = attempt(python, version, level, asked.torch)
            good &= passed
            print(row, flush=True)
            PAGE.write_text(with_row(PAGE.read_text() if PAGE.is_file() else HEAD, row))
    return 0 if good else 1


def attempt(python: Path, version: str, level: str, torch: str) -> tuple[str, bool]:
    """The row of the table for one environment, and whether all is well with it."""
    number = subprocess.run([python, "-V"], capture_output=True, text=True).stdout.split()[-1]
    try:
        if level == "newest" and _is_locked(python, version):
            return row(number, level, "as locked"), True
        inside = environment.make(python, FOLDER / f"py{version}-{level}", level, version, torch, tests=True)
    except environment.InstallError as error:
        return row(number, level, f"not to be had: {error}"), level == "lowest"  # old versions know no new Python
    counts = run(inside)
    return row(number, level, counts, versions(inside)), not counts.failed


def row(number: str, level: str, result: Counts | str, shown: tuple[str, ...] = ("",) * len(SHOWN)) -> str:
    """One line of the table; `result` may be a sentence in place of counts."""
    date = datetime.date.today()
    if isinstance(result, str):
        cells = [result, "", "", ""]
    else:
        cells = [str(result.passed), str(result.failed), str(result.skipped), f"{result.minutes:.0f}"]
    return f"| {' | '.join([number, level, *cells, str(date), *shown])} |"


def with_row(page: str, new: str) -> str:
    """`page` with the row in the place of the older one of this Python and level, or in order among the others."""
    lines = page.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("| ---")) + 1
    end = next((index for index in range(start, len(lines)) if not lines[index].startswith("|")), len(lines))
    rows = {_key(line): line for line in [*lines[start:end], new]}
    return "\n".join([*lines[:start], *(rows[key] for key in sorted(rows)), *lines[end:]]) + "\n"


def run(inside: Path) -> Counts:
    """Run the whole suite with this interpreter."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "tests.xml")
        command = [inside, "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", f"--junitxml={report}"]
        subprocess.run(command, cwd=ROOT)
        return counted(report, (time.monotonic() - begin) / 60)


def counted(report: Path, minutes: float) -> Counts:
    """The counts in a report in JUnit's form, a broken fixture as a failure; one failure where there is none."""
    if not report.is_file():
        return Counts(0, 1, 0, minutes)
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    total, skipped = (sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "skipped"))
    failed = sum(int(suite.get(name, 0)) for suite in suites for name in ("failures", "errors"))
    return Counts(total - failed - skipped, failed, skipped, minutes)


def versions(inside: Path) -> tuple[str, ...]:
    """Versions of the packages that the table shows."""
    code = f"from importlib.metadata import version\nfor name in {SHOWN!r}: print(version(name))"
    return tuple(subprocess.run([inside, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def _is_locked(python: Path, version: str) -> bool:
    """Whether the newest versions that are allowed today are the locked ones."""
    if not environment.lock_file(version).is_file():
        return False
    with tempfile.TemporaryDirectory() as folder:
        return environment.resolve(environment.bare(python, Path(folder))) == environment.locked(version)


def _key(line: str) -> tuple[int, int]:
    """Order of a row: Python, then level."""
    number, level = (cell.strip() for cell in line.split("|")[1:3])
    return int(number.split(".")[1]), LEVELS.index(level)


if __name__ == "__main__":
    sys.exit(main())
