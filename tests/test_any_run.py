"""Runs with settings of any value: results, or one sentence; through main.py, on two small recordings."""

import numpy as np
import pytest
from hypothesis import strategies as st

import main
from config import schema
from tests.searching import search
from tests.test_config_hostile import keys
from tests.video_tools import moving_face, write_video

FRAMES = 330  # eleven seconds
SECTION = "UNSUPERVISED.DATA."
LEFT_OUT = ("BASE", "DASK", "DEVICE", "NUM_OF_GPU_TRAIN", "WORKERS", "PATH", "DATASET", "CACHE_ROOT", "Y5F", "SAVE_DIR")
OTHERS = ("TRAIN.", "VALID.", "TEST.", "MODEL.", "SPLIT.")
KEYS = {key: value for key, value in keys(schema()) if not key.startswith(OTHERS) and not key.endswith(LEFT_OUT)}
WORDS = st.sampled_from(
    ["", "POS", "CHROM", "GREEN", "ICA", "MAE", "BA", "SNR", "FFT", "peak detection", "path", "exact", "toolbox",
     "neurips2023", "Raw", "DiffNormalized", "Standardized", "index", "timestamps", "auto",
     "opencv", "pyav", "HC", "full_frame", "one",
     "two", "subject", "recording", "Motion", "flow", "drop", "interpolate", "track", "1/2", "2/2", "ü"]
)  # fmt: skip
WHOLE = st.one_of(st.integers(-2, 400), st.sampled_from([10**4, 10**6, 10**9, 2**62]))
NUMBER = st.one_of(WHOLE, st.floats(0, 3), st.floats(-1e3, 1e3), st.sampled_from([1e-9, 1e9, 1e18, 0.5, 10.0, 25.0]))


def like(default) -> st.SearchStrategy:
    """Values of the type of `default`."""
    if isinstance(default, bool):
        return st.booleans()
    if isinstance(default, (int, float)):
        return WHOLE if isinstance(default, int) else NUMBER
    if isinstance(default, (list, tuple)):
        return st.lists(st.one_of(WORDS, NUMBER), max_size=3)
    return WORDS if isinstance(default, str) else st.one_of(WORDS, NUMBER)


SETTINGS = st.lists(
    st.sampled_from(sorted(KEYS)).flatmap(lambda key: st.tuples(st.just(key), like(KEYS[key]))), min_size=1, max_size=3
)


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> list[str]:
    """The command line of a run of a second, whose entries are made."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("one", "two"):
        write_video(folder / "raw" / f"{name}.mp4", moving_face(FRAMES, seed=len(name)), "h264")
        rows = np.stack([np.arange(FRAMES) / 30, np.sin(np.arange(FRAMES) / 4)], axis=1)
        np.savetxt(folder / "raw" / f"{name}.csv", rows, delimiter=",", header="time,ppg", comments="")
    settings = {
        "TOOLBOX_MODE": "unsupervised_method", "LOG.PATH": folder / "log", "PREPROCESS_WORKERS": 1,
        "UNSUPERVISED.METHOD": "[POS]", "UNSUPERVISED.METRICS": "[MAE,SNR]", f"{SECTION}DATASET": "Folder",
        f"{SECTION}DATA_PATH": folder / "raw", f"{SECTION}CACHED_PATH": folder / "cache",
        f"{SECTION}PREPROCESS.CROP_FACE.DO_CROP_FACE": False, f"{SECTION}PREPROCESS.RESIZE.W": 16,
        f"{SECTION}PREPROCESS.RESIZE.H": 16, f"{SECTION}PREPROCESS.LABEL_TYPE": "Raw",
    }  # fmt: skip
    (folder / "x.yaml").write_text("SEED: 1\n")
    line = ["--config_file", str(folder / "x.yaml"), *(f"{key}={value}" for key, value in settings.items())]
    assert main.main(line) == 0
    return line


@pytest.mark.slow
def test_any_settings_run_or_are_told(usual, capsys):
    """No traceback: what is wrong with a setting is said with its name, what it does to a recording by that one's."""

    def holds(settings):
        code = main.main([*usual, *(f"{key}={value}" for key, value in settings)])
        said = capsys.readouterr()
        assert code in (0, 1, 3) and "Traceback" not in said.err + said.out, said.err
        # Progress of what takes half a minute may stand before it.
        assert code != 1 or any(line.startswith("Error: ") for line in said.err.splitlines()), said.err

    search(holds, "long", batch=10, settings=SETTINGS)
