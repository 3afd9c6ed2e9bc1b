"""What is only needed later is not imported at the start: libraries that take longer than reading a configuration."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

HEAVY = ("scipy.signal", "scipy.linalg", "scipy.ndimage", "scipy.io", "matplotlib", "pandas", "skimage", "torch")
WORKER = "import dataset.prepare.recording, dataset.prepare.workers"
CHECK = "import main; assert main.main(['--check', 'configs/demo/own_videos.yaml']) == 0"


@pytest.mark.parametrize("start", [WORKER, CHECK])
def test_a_start_imports_no_heavy_library(start):
    """One process per core imports what a worker needs; --check and a wrong key should answer at once."""
    told = f"{start}\nimport sys\nprint('imported:', [name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["imported: []"], done.stdout + done.stderr
