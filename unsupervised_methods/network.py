"""A network as the voter on videos without labels: clips of the stored faces in, one wave per recording out."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from dataset.clips.without_torch import reel
from dataset.files.names import shown
from dataset.files.reading import told
from dataset.progress import show_progress
from evaluation.consensus import NEAR, Answer
from evaluation.evaluate import rows
from evaluation.kinds.pulse import answers
from evaluation.results import UNLABELLED, RecordingResult, Row
from evaluation.settings import Settings
from evaluation.summary import Table, table
from registry import UNSUPERVISED
from unsupervised_methods.expects import Expects
from unsupervised_methods.measure import Sample
from unsupervised_methods.onnx_file import NetworkError, OnnxNetwork
from unsupervised_methods.regions import INNER

UNREADABLE = (ValueError, OSError, RuntimeError)  # of one recording: its faces, its clock, its length


class Network(Protocol):
    """Clips (B, C, T, H, W) float32 -> waves (B, T) float32, as `expects` says; `name` stands in tables.

    One that tells how sure it is gives (B, 2, T): under each wave the log-odds of its being right.
    """

    name: str
    expects: Expects

    def __call__(self, video: np.ndarray) -> np.ndarray:
        """The waves of clips."""


def named_network(config: Any) -> OnnxNetwork | None:
    """The network of UNSUPERVISED.NETWORK, opened; None where none is named. Errors as of `OnnxNetwork`."""
    path = config.UNSUPERVISED.NETWORK
    return OnnxNetwork(path) if path else None


def settings_of(path: str) -> list[tuple[str, Any]]:
    """The settings by which the ONNX file `path` measures own videos. Errors as of `OnnxNetwork`."""
    return [("UNSUPERVISED.NETWORK", os.path.abspath(path)), *crop_settings(OnnxNetwork(path).expects)]


def crop_settings(expects: Expects) -> list[tuple[str, Any]]:
    """The settings that store of every frame what a network reads; classical methods beside it keep the inner face."""
    found = [(f"UNSUPERVISED.DATA.PREPROCESS.{key}", value) for key, value in expects.crop()]
    return found + ([("UNSUPERVISED.ROI", INNER)] if expects.box >= 1 else [])


def check_faces(network: Network, data: Any) -> None:
    """ValueError where the faces of a DATA node are stored at another size than the network reads."""
    resize, (height, width) = data.PREPROCESS.RESIZE, network.expects.size
    if (resize.H, resize.W) != (height, width):
        raise ValueError(
            f"{shown(network.name)} reads frames of {width}x{height} pixels, UNSUPERVISED.DATA.PREPROCESS.RESIZE is "
            f"{resize.W}x{resize.H}: set RESIZE.W={width} RESIZE.H={height}, as `--method` does by itself."
        )


def wave_of(network: Network, entry: Any, fs: float = 0.0, silent: bool = False) -> RecordingResult:
    """What a network finds in a cache entry, read at `fs` (Hz); 0: as recorded, or at the network's own rate.

    Where clips overlap the first one counts. `silent`: no progress is shown. ValueError for a recording that cannot be
    read, or shorter than a clip.
    """
    expects = network.expects
    found = reel(entry, fs or expects.rate_for(float(entry.fs)))
    count, done = found.camera.count, 0
    given = np.full((2, count), np.nan, np.float32)
    length = expects.length_for(count)
    clips = found.clips(length, expects.data_types)
    for start, video in show_progress(clips, entry.id, -(-count // length), "clips", keep=False, silent=silent):
        own = np.atleast_2d(network(video[None])[0])
        given[: len(own), done : start + length] = own[:, done - start :]
        done = start + length
    sure = float(1 / (1 + np.exp(-given[1].mean())))  # NaN where it does not tell
    return RecordingResult(
        entry.id, entry.subject, found.fs, given[0], label_type=expects.label_type, times=found.times, frames=count,
        info=entry.info, sure=sure,
    )  # fmt: skip


def network_tables(
    network: Network, prepared: Any, samples: Sequence[Sample], how: Settings, fs: float = 0.0, silent: bool = False
) -> tuple[list[Table], list[RecordingResult]]:
    """The table of a network under `exact`, and the waves behind it, as `classical_tables` has them of a method."""
    found, results = [], []
    for sample in samples:
        try:
            results.append(wave_of(network, prepared.entry(sample.id), fs, silent))
        except NetworkError:
            raise
        except UNREADABLE as error:
            found.append(Row(sample.id, sample.subject, 0, 0.0, note=told(error), info=sample.info))
        else:
            found += rows(results[-1:], how.exact, how.estimator, how.window_seconds)
    return [table(table_name(network), found, how.exact, how.estimator, how.window_seconds, [])], results


def table_name(network: Network) -> str:
    """What a network is called beside the classical methods."""
    name = shown(network.name)
    return f"{name} (network)" if name in UNSUPERVISED else name


def answers_of(made: tuple[Table, Sequence[RecordingResult]], samples: Sequence[Sample], how: Settings) -> list[Answer]:
    """An answer per recording by a network alone: its table and its waves in, its reason where it has none."""
    found, results = made
    said = {row.id: row.note for row in found.rows if row.note not in ("", *UNLABELLED)}
    given = answers({found.method: results}, samples, how)
    return [replace(one, reason=said[one.id]) if one.course is None and one.id in said else one for one in given]


def network_answers(
    network: Network, prepared: Any, samples: Sequence[Sample], how: Settings, beside: Sequence[Answer], fs: float = 0.0
) -> list[Answer]:
    """An answer per recording by a network, doubted by those of the classical methods `beside` it; in silence."""
    (table, *_), results = network_tables(network, prepared, samples, how, fs, silent=True)
    return doubted(answers_of((table, results), samples, how), beside)


def doubted(given: Sequence[Answer], beside: Sequence[Answer]) -> list[Answer]:
    """`given` by a network, without a number where the classical methods are as sure of another rate."""
    classical = {one.id: one for one in beside if one.reliable}
    return [_doubted(one, classical[one.id]) if one.reliable and one.id in classical else one for one in given]


def _doubted(one: Answer, other: Answer) -> Answer:
    if abs(one.rate - other.rate) <= NEAR:
        return one
    names, voters = ", ".join(one.votes), ", ".join(other.votes)
    return replace(
        one,
        reason=f"{names} finds {one.rate:.0f} bpm, {voters} find {other.rate:.0f}, and both are clear. Try other "
        "weights, or measure without a network",
    )
