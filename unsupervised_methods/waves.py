"""The waves of classical methods, for work outside the toolbox: a table per recording, and rPPG-Toolbox's pickle.

<OUTPUT_SAVE_DIR>/<recording>.csv                      time_s, one column a method, `label` where there is one
<OUTPUT_SAVE_DIR>/<METHOD>_<DATASET>_outputs.pickle    where OUTPUT_SAVE_DIR was set: torch is needed for it
"""

import os
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.names import plural
from dataset.store.cache import safe_name
from evaluation.outputs import write_outputs
from evaluation.results import RecordingResult
from evaluation.tables import write_text
from unsupervised_methods.measure import Sample

Predictions = Mapping[str, Sequence[RecordingResult]]  # of a method; one recording each, on its even time grid


def write_waves(config: Any, predictions: Predictions, samples: Sequence[Sample]) -> Path:
    """Write the waves of all methods and recordings as the module says, and print where; returns the folder."""
    folder = Path(config.UNSUPERVISED.OUTPUT_SAVE_DIR)
    labels = {sample.id: sample for sample in samples}
    by_id: dict[str, dict[str, RecordingResult]] = {}
    for method, results in predictions.items():
        for result in results:
            by_id.setdefault(result.id, {})[method] = result
    for name, made in by_id.items():
        _write_table(folder / f"{safe_name(name)}.csv", made, labels[name])
    if _was_set(config):
        for method, results in predictions.items():
            _write_pickle(folder / f"{method}_{config.UNSUPERVISED.DATA.DATASET}_outputs.pickle", results, labels)
    print(f"Waves of {plural(len(by_id), 'recording')}: {folder}")
    return folder


def _was_set(config: Any) -> bool:
    """Whether OUTPUT_SAVE_DIR is another folder than the one that is derived where it is empty."""
    derived = os.path.join(config.LOG.PATH, config.UNSUPERVISED.DATA.EXP_DATA_NAME, "saved_outputs")
    return os.path.normpath(config.UNSUPERVISED.OUTPUT_SAVE_DIR) != os.path.normpath(derived)


def _times(result: RecordingResult) -> np.ndarray:
    """Seconds (L,) of the samples of a wave."""
    count = len(result.prediction)
    return np.arange(count) / result.fs if result.times is None else np.asarray(result.times, float)[:count]


def _label(result: RecordingResult, sample: Sample) -> np.ndarray:
    """The label (L,) at the samples of the wave; NaN without one."""
    times = _times(result)
    if sample.label is None:
        return np.full(len(times), np.nan)
    own = np.arange(len(sample.label)) / sample.fs if sample.times is None else np.asarray(sample.times, float)
    return np.interp(times, own[: len(sample.label)], sample.label[: len(own)])


def _write_table(path: Path, made: Mapping[str, RecordingResult], sample: Sample) -> None:
    longest = max(made.values(), key=lambda result: len(result.prediction))
    times = _times(longest)
    columns = {"time_s": times} | {method: _at(times, result) for method, result in made.items()}
    if sample.label is not None:
        columns["label"] = _label(longest, sample)
    rows = zip_longest(*columns.values(), fillvalue=np.nan)
    write_text(path, "\n".join([",".join(columns), *(",".join(map(_shown, row)) for row in rows), ""]))


def _at(times: np.ndarray, result: RecordingResult) -> np.ndarray:
    """The wave at `times` (s): as it is where it begins there sample by sample, else between its samples."""
    own, wave = _times(result), np.asarray(result.prediction, dtype=float)
    if len(own) <= len(times) and np.allclose(own, times[: len(own)], rtol=0, atol=1e-3):
        return wave
    return np.interp(times, own, wave, left=np.nan, right=np.nan)


def _shown(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.7g}"


def _write_pickle(path: Path, results: Sequence[RecordingResult], samples: Mapping[str, Sample]) -> None:
    predictions = {result.id: {0: np.asarray(result.prediction, np.float32)} for result in results}
    labels = {result.id: {0: _label(result, samples[result.id]).astype(np.float32)} for result in results}
    if results:
        write_outputs(path, predictions, labels, results[0].label_type, {result.id: result.fs for result in results})
