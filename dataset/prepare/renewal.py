"""Entries whose files are no longer what they were: signals read again, the whole made again, or found to be the same.

An entry that was made before its files were noted is checked by what it holds (signals, number of frames, the first
face); what agrees is kept, and its files are noted.
"""

import contextlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.face.boxes import full_frame
from dataset.face.crop import FaceCrop
from dataset.files.decoding import decoding
from dataset.files.frames import VideoError, as_frame
from dataset.files.names import plural
from dataset.files.opened import Opened, noting
from dataset.files.video import frame_count
from dataset.prepare.checks import check_lengths, length_flags, time_flags
from dataset.prepare.recording import (
    Labels,
    Preprocessing,
    add_frame_trace,
    lacking,
    preprocess_recording,
    read_labels,
)
from dataset.prepare.workers import run_all
from dataset.progress import show_progress
from dataset.store.cache import Cache, Found, Status
from dataset.store.disk import CacheError
from dataset.store.entry import ENTRY, SIGNALS, DamagedEntryError, Entry, read_about
from dataset.store.sources import Difference
from dataset.store.streams import frame_rate
from dataset.store.writer import about_signals, archive, checked_targets, plain_info, signal_arrays

SAME, RELABELLED, REMADE = "same", "signals", "whole"  # what was done with an entry
OUTCOMES = {
    SAME: "with the same content",
    RELABELLED: "with new signals and the frames as they were",
    REMADE: "made again",
    "failed": "failed and gone",
    "skipped": "skipped now",
}
SENTENCES = {  # by kind of difference
    ("video",): "read again, because the files are not what the entry was made of, {}",
    ("labels", "clock"): "read again without the video, because the labels have changed, {}",
    ("unknown",): "compared with its files by what it holds, because the entry does not say what it was made of, {}",
}
READERS = 16  # threads that compare files
LISTED = 10  # recordings in a sentence
ALIKE = 4.0  # mean difference of two pictures of one frame by two versions of a decoder, of 255
MISCOUNT = 0.01  # share of frames by which the header of a video may be wrong


def differences(recordings: Sequence[Recording], found: Mapping[str, Found], cache: Cache) -> dict[str, Difference]:
    """Those of `recordings` whose files, by what a walk has `found`, are not those that their entries were made of."""

    def compared(recording: Recording) -> Difference | None:
        one = found[recording.id]
        if one.entry is None and one.status.state not in ("failed", "skipped"):
            return None
        return cache.origin.difference(one.entry.sources if one.entry else one.status.sources)

    with ThreadPoolExecutor(READERS) as pool:  # disks answer many questions at once sooner than one after the other
        every = zip(recordings, pool.map(compared, recordings), strict=True)
        return {recording.id: difference for recording, difference in every if difference is not None}


def renew(
    recordings: Sequence[Recording],
    changed: Mapping[str, Difference],
    loader: BaseLoader,
    crop: FaceCrop,
    cache: Cache,
    workers: int | str,
    section: str,
) -> dict[str, Status]:
    """As `renew_all`; what is done and why is printed, in a sentence for each kind of difference."""
    if not recordings:
        return {}
    for kinds, sentence in SENTENCES.items():
        names = [
            f"{r.id} ({changed[r.id]})" if changed[r.id].names else r.id
            for r in recordings
            if changed[r.id].kind in kinds
        ]
        if names:
            more = f", and {len(names) - LISTED} more" if len(names) > LISTED else ""
            said = sentence.format(plural(len(names), "recording"))
            print(f"{section.upper()}.DATA: {said}: {', '.join(names[:LISTED])}{more}.")
    done = renew_all(loader, recordings, crop, cache, workers)
    outcomes = [status.reason if status.state == "done" else status.state for status in done.values()]
    told = ", ".join(f"{outcomes.count(key)} {words}" for key, words in OUTCOMES.items() if key in outcomes)
    print(f"{section.upper()}.DATA: entries compared: {told}.")
    for name, status in done.items():
        if status.state != "done":
            print(f"  {status.state} {name}: {status.reason}")
    return done


def renew_all(
    loader: BaseLoader, recordings: Sequence[Recording], crop: FaceCrop, cache: Cache, workers: int | str = -1
) -> dict[str, Status]:
    """Bring the entries of `recordings` up to date with their files; of those that are done the reason says how.

    One that cannot be read any more is failed, and its old entry goes. Raises what `preprocess_all` does.
    """
    jobs = Renewal(cache, loader=loader, crop=crop)
    done: dict[str, Status] = {}
    with show_progress(desc="Comparing", total=len(recordings), unit="recordings", keep=False) as bar:
        for name, status in run_all(jobs, list(recordings), workers):
            done[name] = status
            bar.update()
    return done


@dataclass(frozen=True)
class Renewal(Preprocessing):
    """One entry after the other; the reason of a status that is done is SAME, RELABELLED or REMADE."""

    def work(self, recording: Recording) -> str:
        """Compare once more, and do what is needed."""
        entry = self._whole_entry(recording)
        difference = self.cache.origin.difference(entry.sources) if entry else Difference("video")
        if difference is None:
            return SAME
        if difference.kind == "unknown":
            difference, sources = identify(self.loader, recording, self.crop, self.cache, entry)
            if difference is None:
                with contextlib.suppress(CacheError):  # a cache that is only read is checked again next time
                    self.cache.replace_about(recording.id, {**read_about(entry.path / ENTRY), "sources": sources})
                return SAME
            entry = replace(entry, sources=sources)
        kept = difference.kind in ("labels", "clock") and self.loader.has_video
        if kept and relabel(self.loader, recording, self.crop, self.cache, entry, difference.kind == "clock"):
            return RELABELLED
        trace = entry is not None and entry.frame_trace is not None
        preprocess_recording(self.loader, recording, self.crop, self.cache)
        if trace or self.frame_trace:
            add_frame_trace(self.loader, recording, self.crop, self.cache)
        return REMADE

    def _whole_entry(self, recording: Recording) -> Entry | None:
        entry = self.cache.survey([recording.id])[recording.id].entry
        with contextlib.suppress(DamagedEntryError):
            return entry and entry.check()
        return None

    def enter(self, status: Status, recording: Recording) -> None:
        """Its entry shows files that are no more: it goes."""
        self.cache.remove(recording.id)
        super().enter(status, recording)

    def finished(self, name: str) -> bool:
        """An entry was there before: nothing tells."""
        return False


# --- Signals alone ---------------------------------------------------------------------------------------------------


def relabel(loader: BaseLoader, recording: Recording, crop: FaceCrop, cache: Cache, entry: Entry, clock: bool) -> bool:
    """Read the signals of an entry again, with `clock` the times of its frames, too, and keep its frames.

    False where that cannot be done without the video. Raises as `preprocess_recording` for signals that are unusable.
    """
    if "lost_frames_dropped" in entry.flags:
        return False
    labels, times = read_labels(loader, recording), entry.times
    with noting() as opened:
        if clock:
            times = frame_times(loader, recording, crop, entry)
            if times is None:
                return False
    check_lengths(labels.waves, loader.signals, entry.shape[0], f" of '{recording.path}'")
    content = read_about(entry.path / ENTRY)
    signals = archive(_arrays(entry, labels.waves, times))
    content |= _said(loader, recording, entry, labels, times, content["flags"])
    content["sources"] = _relabelled(cache, recording, entry, labels, opened)
    content = {key: value for key, value in content.items() if key != "targets" or value}
    content["checksums"] = content["checksums"] | {SIGNALS: f"crc32:{zlib.crc32(signals):08x}"}
    cache.replace_signals(recording.id, signals, content)
    return True


def frame_times(loader: BaseLoader, recording: Recording, crop: FaceCrop, entry: Entry) -> np.ndarray | None:
    """When the frames (T,) were by what the data set says of them; None where only the video can tell."""
    count = entry.shape[0] + int(entry.flags.get("frames_without_time", 0))
    with decoding(crop.decoder, unseen=count), contextlib.suppress(NotImplementedError):  # of frames without pixels
        times = [frame.time for frame in map(as_frame, loader.read_video(recording))]
        return _all_times(times, entry)
    return None


def _all_times(times: list[float | None], entry: Entry) -> np.ndarray | None:
    if None in times or len(times) != entry.shape[0]:
        return None
    return np.array(times, np.float64)


@dataclass
class _View:
    """Of an entry that is about to be, what its flags are judged by."""

    frames: int
    fs: float | None
    signals: dict[str, Signal]
    stream_names: tuple[str, ...]

    def __len__(self) -> int:
        return self.frames


def _said(
    loader: BaseLoader,
    recording: Recording,
    entry: Entry,
    labels: Labels,
    times: np.ndarray | None,
    flags: Mapping[str, Any],
) -> dict[str, Any]:
    """What entry.json says of signals and clock."""
    streams = tuple(name for name in entry.stream_names if name in entry.about["streams"])
    view = _View(entry.shape[0], loader.fs, labels.waves, streams)
    old = {name for signal in (*entry.signals, *labels.waves) for name in (f"{signal}_length", f"{signal}_nan")}
    old |= {"lacking", "dropped_frames", "doubled_frames", "times_out_of_order"}
    kept = {name: value for name, value in flags.items() if name not in old}
    new = {**time_flags(times), **length_flags(labels.waves, view, times), **lacking(loader, view)}
    rate = (frame_rate(times) if times is not None else None) or loader.fs or entry.fs
    return {
        "fs": float(rate),
        "signals": about_signals(labels.waves),
        "flags": kept | new,
        "info": plain_info({**recording.info, **labels.info}),
        "targets": checked_targets(labels.targets),
    }


def _arrays(entry: Entry, waves: Mapping[str, Signal], times: np.ndarray | None) -> dict[str, np.ndarray]:
    """What signals.npz holds, in the order in which a new entry has it."""
    with np.load(entry.path / SIGNALS, allow_pickle=False) as file:
        old = {name: file[name] for name in file.files}
    arrays = {name: old[name] for name in ("trace", "boxes", "box_frames")}
    arrays |= {} if times is None else {"times": times}
    arrays |= signal_arrays(waves)
    return arrays | {name: values for name, values in old.items() if name.startswith("stream.")}


def _relabelled(cache: Cache, recording: Recording, entry: Entry, labels: Labels, opened: Opened) -> dict[str, Any]:
    """The files of the entry: those of the video as they were, those of the labels as they are."""
    video = Opened({str(cache.origin.base / name) for name in entry.sources.get("video", {})} | opened.files)
    clock = {str(cache.origin.base / name) for name in entry.sources.get("clock", ())} | opened.texts
    video.files |= clock
    video.texts |= clock
    new = cache.origin.taken(recording, video, labels.opened)
    return new | ({"video": entry.sources["video"]} if entry.sources.get("video") else {})


# --- Entries that do not say what they were made of ------------------------------------------------------------------


def identify(
    loader: BaseLoader, recording: Recording, crop: FaceCrop, cache: Cache, entry: Entry
) -> tuple[Difference | None, dict[str, Any]]:
    """What an old entry holds that is not in its files (None: all agrees), and these files. Nothing is written."""
    labels = read_labels(loader, recording)
    with noting() as opened:
        if loader.has_video and not _same_video(loader, recording, crop, entry):
            return Difference("video"), {}
    if not loader.has_video and entry.about["streams"]:
        return Difference("video"), {}
    sources = cache.origin.taken(recording, opened, labels.opened, loader.has_video)
    if _same_signals(labels.waves, entry) and _same_targets(labels.targets, entry):
        return None, sources
    return Difference("clock" if sources.get("clock") else "labels"), sources


def _same_video(loader: BaseLoader, recording: Recording, crop: FaceCrop, entry: Entry) -> bool:
    """Whether the number of frames, their times and the first face are those of the entry."""
    if "lost_frames_dropped" in entry.flags:
        return False
    count = entry.shape[0] + int(entry.flags.get("frames_without_time", 0))
    times: list[float | None] = []
    with decoding(crop.decoder, unseen=count) as seen, contextlib.suppress(NotImplementedError):
        times = [frame.time for frame in map(as_frame, loader.read_video(recording))]
    stated = [frame_count(path) for path in seen.files[:1]]
    if len(times) != entry.shape[0] or any(n and abs(n - count) > max(2, MISCOUNT * count) for n in stated):
        return False
    if None not in times and (entry.times is None or not np.array_equal(times, entry.times)):
        return False
    return _same_face(loader, recording, crop, entry)


def _same_face(loader: BaseLoader, recording: Recording, crop: FaceCrop, entry: Entry) -> bool:
    with decoding(crop.decoder):
        first = next(iter(map(as_frame, loader.read_video(recording))), None)
    if first is None:
        raise VideoError(f"'{recording.path}' has no frames.")
    box = tuple(map(int, entry.boxes[0])) if len(entry.boxes) else full_frame(first.shape)
    x, y, width, height = box
    if x + width > first.shape[1] or y + height > first.shape[0]:
        return False
    face = cv2.resize(first.rgb(box), crop.size, interpolation=cv2.INTER_AREA)
    return face.shape == entry.shape[1:] and float(np.mean(cv2.absdiff(face, np.array(entry.faces[0])))) < ALIKE


def _same_signals(waves: Mapping[str, Signal], entry: Entry) -> bool:
    if set(waves) != set(entry.signals):
        return False
    return all(_same_signal(signal, entry.signals[name]) for name, signal in waves.items())


def _same_targets(targets: Mapping[str, float], entry: Entry) -> bool:
    return targets.keys() == entry.targets.keys() and all(
        _equal(targets[name], entry.targets[name]) for name in targets
    )


def _same_signal(new: Signal, old: Signal) -> bool:
    pairs: Iterator[tuple[Any, Any]] = zip((new.values, new.times), (old.values, old.times), strict=True)
    if new.fs != old.fs:
        return False
    return all((a is None) == (b is None) and (a is None or _equal(a, b)) for a, b in pairs)


def _equal(first: Any, second: Any) -> bool:
    return np.array_equal(np.asarray(first, float), np.asarray(second, float), equal_nan=True)
