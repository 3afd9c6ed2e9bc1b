"""Does it run at all with this Python? The chain of classical methods in a throw-away environment without torch.

python -m tools.versions.smoke [--python PATH] [--level lowest|locked|newest]

Without --level: the locked versions, or the newest where there are none for this Python. Ends with 0 when all is well.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.versions import environment
from tools.versions.environment import LEVELS, ROOT
from tools.versions.interpreters import ask, interpreters


def main() -> int:
    """Make the environment, run the chain."""
    asked = parser().parse_args()
    python = asked.python or (next(iter(interpreters().values())) if asked.level == "lowest" else sys.executable)
    version, path = ask(python)
    if not version:
        print(f"{python} is no Python 3 that can make environments.")
        return 1
    level = asked.level or ("locked" if environment.lock_file(version).is_file() else "newest")
    print(f"Python {version}, {level} versions, without torch:", flush=True)
    with tempfile.TemporaryDirectory(prefix="pulsescope-") as folder:
        return smoke(path, version, level, Path(folder))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="Run the classical methods in a throw-away environment.")
    parser.add_argument("--python", help="interpreter; default: this one, for the lowest versions the oldest one found")
    parser.add_argument("--level", choices=LEVELS, help="which versions; default: the locked ones")
    return parser


def smoke(python: Path, version: str, level: str, folder: Path) -> int:
    """Install a level into `folder` and run the chain there; its exit code, 1 when pip refuses."""
    begin = time.monotonic()
    try:
        inside = environment.make(python, folder / "environment", level, version)
    except environment.InstallError as error:
        print(f"  cannot be installed: {error}")
        return 1
    print(f"  installed in {time.monotonic() - begin:.0f} s", flush=True)
    (folder / "work").mkdir()
    env = {**os.environ, "RPPG_LOCAL": ""}  # no settings of whoever runs it
    return subprocess.run([inside, "-m", "tools.versions.chain", folder / "work"], cwd=ROOT, env=env).returncode


if __name__ == "__main__":
    sys.exit(main())
