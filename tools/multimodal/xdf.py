"""XDF files: python tools/multimodal/xdf.py --export data/s001/r01 --out r01.xdf, or --import eeg.xdf --out folder

--export writes the signals of a recording, the numbers and times of its frames and its events, all on the computer's
clock: a viewer of EEG files shows them beside its own. Pictures stay in their own files. --import turns every stream
of a file into tables; its name becomes the name of its folder. Exit code 2 for a file that cannot be used.
"""

import argparse
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a file, from any folder

import numpy as np

from dataset.files.names import free_name, plural
from dataset.files.xdf import Stream, read_xdf, write_xdf
from dataset.multimodal.appending import TableFile
from dataset.multimodal.layout import STAMP_COLUMNS, STAMPS, Session
from dataset.program import answer

LONGEST = 60  # letters of a folder's name


def main(arguments: list[str] | None = None) -> int:
    """Export or import what is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--export", type=Path, metavar="FOLDER", help="a recording")
    what.add_argument("--import", type=Path, metavar="FILE", dest="file", help="an XDF file")
    parser.add_argument("--out", type=Path, required=True, help="the file or the folder that is made; must not exist")
    parser.add_argument("--partial", action="store_true", help="with --import: of a cut file, what is whole")
    asked = parser.parse_args(arguments)
    return answer(lambda: convert(asked))


def convert(asked: argparse.Namespace) -> None:
    """Do what is asked."""
    if asked.out.exists():
        raise FileExistsError(f"'{asked.out}' exists and is not written over. Choose another --out.")
    if asked.export:
        streams = streams_of(Session(asked.export))
        write_xdf(asked.out, streams)
        print(f"'{asked.out}' holds {plural(len(streams), 'stream')}: {', '.join(one.name for one in streams)}.")
    else:
        names = to_tables(read_xdf(asked.file, asked.partial), asked.out)
        print(f"'{asked.out}' holds {plural(len(names), 'stream')}: {', '.join(names)}.")


def streams_of(session: Session) -> list[Stream]:
    """Signals, numbers of frames, and events, at their host times in seconds."""
    identity, found = session.meta.id, []
    for name in session.present:
        host = session.stamps(name).host / 1e9
        fs = 1 / float(np.median(np.diff(host))) if len(host) > 1 else 0.0
        if name == "ppg":
            columns = {key: column for key, column in session.ppg().items() if key != "t_ns"}
            values = np.stack(list(columns.values()), axis=1)
            found.append(Stream(name, "PPG", fs, values, host, tuple(columns), source=identity))
        else:
            numbers = np.arange(len(host), dtype=np.int32)[:, None]
            found.append(Stream(name, "Frames", fs, numbers, host, ("frame number",), source=identity))
    events = [one for one in session.events() if one.clock == "host"]
    times = np.array([one.t_ns for one in events], float) / 1e9
    return [
        *found,
        Stream("events", "Markers", 0.0, [(one.kind,) for one in events], times, ("kind",), source=identity),
    ]


def to_tables(streams: list[Stream], out: Path) -> list[str]:
    """A folder for each stream, with `values.csv` and `timestamps.csv`; the folders' names."""
    names: list[str] = []
    for stream in streams:
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", stream.name).strip("_")[:LONGEST] or "stream"
        names.append(free_name(plain, names).replace(" ", "_"))
        _write(stream, out / names[-1])
    return names


def _write(stream: Stream, folder: Path) -> None:
    width = len(stream.values[0]) if len(stream.values) else 0
    device, host = (np.round(1e9 * times).astype(np.int64) for times in (stream.times, stream.synced))
    labels = [re.sub(r"[^\w -]+", "_", label) for label in stream.labels]
    columns = labels if len(set(labels)) == width and "" not in labels else [f"channel_{k + 1}" for k in range(width)]
    values, stamps = TableFile(folder / "values.csv", ("t_ns", *columns)), TableFile(folder / STAMPS, STAMP_COLUMNS)
    for number, row in enumerate(stream.values):
        cells = [one.replace(",", ";").replace("\n", " ") if isinstance(one, str) else repr(one.item()) for one in row]
        values.add(device[number], *cells)
        stamps.add(number, device[number], host[number])
    values.close()
    stamps.close()


if __name__ == "__main__":
    sys.exit(main())
