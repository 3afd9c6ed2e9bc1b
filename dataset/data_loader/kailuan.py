"""Kailuan: resting ECG (lead I) and finger PPG of about 6 s and the pressure in both arms, of 17,104 people.

Made by prepare_kailuan_npz.py of the study's HDF5 file, which is not public:

    DATA_PATH/<ssoid>.npz     x (L, 2) float32: ECG, PPG on one clock; fs
    labels.csv                (in DATA_PATH, beside it, or TABLE) ssoid, right_arm_sbp ... mmHg, subject
    labels_people.csv         ssoid, age (years), sex (1: a man), bmi, height (cm), weight (kg)
"""

from pathlib import Path

from dataset.data_loader.signal_files import SignalFilesLoader
from dataset.files.reading import is_there, read_json
from dataset.files.windows import Windows
from registry import DATASETS


@DATASETS.register("Kailuan")
class KailuanLoader(SignalFilesLoader):
    """As any folder of windows, with two channels whose order is known."""

    OPTIONS = {key: value for key, value in SignalFilesLoader.OPTIONS.items() if key not in ("CHANNELS", "TIME_FIRST")}

    def read_windows(self, root: Path) -> Windows:
        """As its base class; says where the two signals were stretched each on its own."""
        made = Path(root) / "prepared.json"
        if is_there(made) and read_json(made).get("align_mode") == "resample":
            print(f"Warning: '{root}' was made with --align_mode resample: the PPG is not on the clock of the ECG.")
        return super().read_windows(root)

    def _asked(self) -> list[object]:
        fixed = {"CHANNELS": ["ecg", "ppg"], "TIME_FIRST": True}
        return [fixed.get(key, self.options.get(key, default)) for key, default in SignalFilesLoader.OPTIONS.items()
                if key != "TABLE"]  # fmt: skip
