"""What a run's folder says of the run before it starts: its whole settings, and what else can change a number."""

import json
import os
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import config as settings
from evaluation.tables import write_text

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # sums of another order have other last digits


def write_run_files(config: Any, **computed_on: Any) -> Path:
    """Write `config.yaml` and `environment.json` into the folder of the run; returns the folder.

    `computed_on`: what only the run's own libraries know, such as the device. Both files are replaced by a rename.
    """
    folder = Path(settings.run_folder(config))
    write_text(folder / "config.yaml", settings.dump(config))
    known = {"date": datetime.now(timezone.utc).isoformat(timespec="seconds"), "data": data_of(config)}
    write_text(folder / "environment.json", json.dumps({**known, **environment(), **computed_on}, indent=1))
    return folder


def data_of(config: Any) -> dict[str, Any]:
    """What each section of the run reads, and from where."""
    return {
        section: {
            "dataset": config[section].DATA.DATASET,
            "path": os.path.abspath(config[section].DATA.DATA_PATH or ""),
        }
        for section in settings.used_sections(config)
    }


def environment() -> dict[str, Any]:
    """The machine and the libraries that every run uses."""
    import av
    import cv2
    import numpy
    import scipy

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "opencv": cv2.__version__,
        "av": av.__version__,
        "cores": os.cpu_count(),
        **{name: os.environ[name] for name in THREADS if name in os.environ},
    }
