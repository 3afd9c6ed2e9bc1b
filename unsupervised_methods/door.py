"""Answers for videos from Python, as `--video` gives them, without printing and without files in the working folder."""

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from config import Override, read
from dataset.files.frames import VideoError
from dataset.own_videos import own_videos
from evaluation.consensus import VOTERS, Answer
from evaluation.kinds.pulse import answers
from evaluation.settings import Settings, read_settings
from registry import UNSUPERVISED
from unsupervised_methods.measure import Sample, native_rows
from unsupervised_methods.network import check_faces, named_network, network_answers, settings_of
from unsupervised_methods.regions import BOX, region_of
from unsupervised_methods.run import read_samples

logger = logging.getLogger("pulsescope")

Place = str | os.PathLike


def measure(
    videos: Place | Sequence[Place],
    cache: Place | None = None,
    settings: Sequence[str] = (),
    network: Place | None = None,
    faces: str = "one",
) -> Answer | dict[str, Answer]:
    """The answer for a video file; for a folder or a list of files and folders one per recording, by its name.

    Where the pulse is too uncertain `reliable` is False, `reason` says why and `heart_rate` is NaN. `cache`: a folder
    that keeps the faces for the next call; None: nothing is kept. `settings`: KEY=VALUE, as on the command line.
    `network`: an ONNX file that votes in the place of the classical methods; its errors are NetworkError. `faces`:
    "all" answers for each face of a video, always as a dict. From one thread at a time: what others print meanwhile is
    caught, too.

    FileNotFoundError for a file that is not there, ConfigError for settings that cannot be. VideoError (a ValueError)
    for a single video that cannot be read or shows no face; among several such a one is an answer with that reason.
    """
    single = isinstance(videos, str | os.PathLike)
    places = [os.fspath(videos)] if single else [os.fspath(place) for place in videos]
    if not places:
        return {}
    if missing := [place for place in places if not Path(place).exists()]:
        raise FileNotFoundError(f"{', '.join(missing)}: no such file or folder.")
    with tempfile.TemporaryDirectory(prefix="pulsescope-") as scratch, silent():
        kept = Path(cache).absolute() if cache is not None else Path(scratch) / "cache"
        more = [] if network is None else settings_of(os.fspath(network))
        config = _configuration(places, kept, Path(scratch) / "log", [*more, *settings], faces)
        found = _measured(config)
    if faces == "all" or not (single and Path(places[0]).is_file()):
        return found
    for only in found.values():
        if only.band[0] > 0:  # it was measured
            return only
        raise VideoError(only.reason)
    raise VideoError(f"'{places[0]}' is left out by the settings: {', '.join(settings)}.")


def answer_of(sample: Sample, how: Settings, voters: Sequence[str] = VOTERS) -> Answer:
    """What the methods called `voters` say of the colours of one recording."""
    made = {name: native_rows(UNSUPERVISED[name], [sample], how) for name in voters}
    silent = [rows[0].note for rows, results in made.values() if not results]
    found = answers({name: results for name, (_, results) in made.items()}, [sample], how)[0]
    return replace(found, reason=silent[0]) if silent else found


def _configuration(places: Sequence[str], cache: Path, log: Path, settings: Sequence[Override], faces: str) -> Any:
    """The settings of a run on these videos that writes into `cache` and nowhere else."""
    inside = [("UNSUPERVISED.DATA.CACHED_PATH", str(cache)), ("LOG.PATH", str(log))]
    file, own = own_videos(None, places, [*inside, *settings], "" if faces == "one" else faces)
    return read(file, [*inside, *own, *settings]).config


def _measured(config: Any) -> dict[str, Answer]:
    """An answer per recording, also of those that failed, in the order of the recordings."""
    from dataset.prepare.section import IncompleteError, prepare

    data, how = config.UNSUPERVISED.DATA, read_settings(config, "UNSUPERVISED")
    how, region = replace(how, preset=how.exact, metrics=[]), region_of(config.UNSUPERVISED.ROI, data.PREPROCESS)
    try:
        prepared = prepare(data, "unsupervised", config)
    except IncompleteError as error:
        prepared = error.prepared
    samples, network = read_samples(prepared, data, region), named_network(config)
    given = [answer_of(one, how) for one in samples]
    if network is not None:
        check_faces(network, data)
        given = network_answers(network, prepared, samples, how, given, float(data.RESAMPLE_FS))
        region = region_of(BOX, data.PREPROCESS)
    found = {one.id: replace(one, region=region.words) for one in given}
    return found | {recording.id: Answer(recording.id, reason=reason) for recording, reason in prepared.failed}


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """What is printed within the block goes to the log called pulsescope, as information."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield
    finally:
        for line in said.getvalue().splitlines():
            logger.info("%s", line)
