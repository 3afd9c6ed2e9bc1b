"""Write constraints/py3.X.txt anew: for every Python of this machine the newest versions that the lists allow.

python -m tools.versions.relock

torch and what only torch needs are left out, so that any build of it can be chosen. Run the whole suite on what comes
of it (`make test-versions`) before it is committed.
"""

import datetime
import tempfile
from pathlib import Path

from tools.versions import environment
from tools.versions.interpreters import interpreters

HEAD = (
    "# Versions that go together with Python {version}; docs/versions.md says what was run with them. "
    "Renewed by `make relock` on {date}.\n"
)


def main() -> None:
    """Resolve for every interpreter; write the lists that have changed."""
    for version, python in interpreters().items():
        with tempfile.TemporaryDirectory() as folder:
            found = environment.resolve(environment.bare(python, Path(folder)))
        print(f"Python {version}: {write(version, found)}")


def write(version: str, packages: dict[str, str]) -> str:
    """Write the list for one Python unless it says the same already; what was done."""
    file = environment.lock_file(version)
    if file.is_file() and environment.locked(version) == packages:
        return "nothing new"
    before = environment.locked(version) if file.is_file() else {}
    file.parent.mkdir(exist_ok=True)
    lines = [f"{name}=={number}\n" for name, number in packages.items()]
    file.write_text(HEAD.format(version=version, date=datetime.date.today()) + "".join(lines))
    if not before:
        return f"{len(packages)} packages"
    names = sorted({name for name, _ in before.items() ^ packages.items()}, key=str.lower)
    return ", ".join(f"{name} {before.get(name, 'none')} -> {packages.get(name, 'none')}" for name in names)


if __name__ == "__main__":
    main()
