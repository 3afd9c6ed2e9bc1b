"""The demo behind `make demo`: the whole chain on rendered faces, then where to look.

Two ordinary runs of main.py: classical methods on the preset `easy`, and a PhysNet trained on some people of the
preset `standard` and tested on others. Nothing here is special to the demo but the two file names.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config import load_config, run_folder  # noqa: E402  (the repository root must be importable first)

STEPS = (
    ("Classical methods on faces with a strong pulse", "configs/demo/classical_easy.yaml"),
    ("PhysNet, trained on some subjects and tested on others", "configs/demo/physnet.yaml"),
)


def main() -> int:
    """Run both steps, print the reports' places; the exit code of the first step that fails, which says why."""
    begin, folders = time.monotonic(), []
    for title, file in STEPS:
        print(f"\n===== {title}: python main.py --config_file {file}\n", flush=True)
        code = subprocess.run([sys.executable, "main.py", "--config_file", file], cwd=ROOT).returncode
        if code:
            return code
        folders.append(ROOT / run_folder(load_config(ROOT / file)))
    print(f"\nDone in {time.monotonic() - begin:.0f} s. Open these:")
    for folder in folders:
        print(f"  {folder / 'report.md'}")
        for plot in sorted(folder.rglob("*.png")):
            print(f"      {plot.relative_to(folder)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
