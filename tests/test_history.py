"""The course of a training: what is on the disk after each update, whoever ends the process then."""

import csv
import struct

from neural_methods.history import History


def rows_of(path):
    """The file as it lies there now."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def row(update, **more):
    """What one update leaves."""
    return {"epoch": 0, "update": update, "samples": 4, "loss": 1.0 / (1 + update), "lr": 0.1, **more}


def test_each_row_is_in_the_file_when_it_is_added(tmp_path):
    """Also behind a column that comes later and behind what an epoch adds, which both write the file anew."""
    history = History(tmp_path)
    history.open()
    for update in range(6):
        history.add(row(update, **({"late": 2.0} if update >= 2 else {})))
        if update == 3:
            history.note({"valid/error": 0.5})
        found = rows_of(history.path)
        assert [int(one["update"]) for one in found] == list(range(update + 1))
    assert found[3]["valid/error"] == "0.5" and found[1]["late"] == "" and found[5]["late"] == "2.0"
    history.close()


def test_a_history_goes_on_where_it_was_closed(tmp_path):
    """Rows of updates that are done again are replaced."""
    for start, stop in ((0, 4), (2, 5)):
        history = History(tmp_path)
        history.open(0, start)
        for update in range(start, stop):
            history.add(row(update))
        history.close()
    assert [int(one["update"]) for one in rows_of(history.path)] == [0, 1, 2, 3, 4]


def test_every_curve_is_in_the_events(tmp_path):
    """Each update is an event with a point of each curve; what is no finite number is none."""
    from tensorboardX.proto.event_pb2 import Event

    history = History(tmp_path)
    history.open()
    for update in range(3):
        history.add(row(update, ecg=float(update), bad=float("nan")))
    history.close()
    (path,) = (tmp_path / "tensorboard").iterdir()
    content, start, found = path.read_bytes(), 0, []
    while start < len(content):  # records: 8 bytes of length, 4 of its checksum, the event, 4 of its checksum
        (length,) = struct.unpack("<Q", content[start : start + 8])
        event = Event.FromString(content[start + 12 : start + 12 + length])
        start += 16 + length
        found += [(event.step, {one.tag: one.simple_value for one in event.summary.value})]
    points = [(step, values) for step, values in found if values]
    assert [step for step, _ in points] == [1, 2, 3]
    assert all(set(values) == {"train/loss", "train/lr", "train/ecg"} for _, values in points)
    assert [values["train/ecg"] for _, values in points] == [0.0, 1.0, 2.0]
