"""What the data hold of the windows of one recording: its rows, in their order, all or some of them."""

import numpy as np

from dataset.files.windows import open_windows
from dataset.prepare.splits import Split
from dataset.prepare.windows import PreparedWindows


def test_the_windows_of_a_recording_are_read_in_their_order(tmp_path):
    """Of two people in turn, the second's in falling order; every second one on demand."""
    values = np.arange(6 * 2 * 8, dtype=np.float32).reshape(6, 2, 8)
    np.save(tmp_path / "windows.npy", values)
    rows = ["subject,sbp,start"] + [f"{'ab'[k % 2]},{100 + k},{k if k % 2 == 0 else -k}" for k in range(6)]
    (tmp_path / "windows.csv").write_text("\n".join(rows) + "\n")
    windows = open_windows(tmp_path / "windows.npy", tmp_path / "windows.csv", ("ecg", "ppg"), 125.0)
    made = PreparedWindows("train", "Any", tmp_path, 125.0, Split("Any", ("a", "b")), windows=windows)
    first, second = (list(made.source(name).pieces()) for name in "ab")
    assert [targets["sbp"] for _, targets, _ in first] == [100, 102, 104]
    assert [targets["sbp"] for _, targets, _ in second] == [105, 103, 101]
    assert [place for place, _, _ in second] == [0, 1, 2]
    assert np.array_equal(second[0][2]["ppg"].values, values[5, 1]) and second[0][2]["ppg"].fs == 125.0
    assert [place for place, _, _ in made.source("a").pieces(2)] == [0, 2]
