"""From one DATA section to recordings that are ready: listing, split, cache, preprocessing, selection.

Nothing torch is imported before clips are asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataset.data_loader.base import BaseLoader, Recording
from dataset.face import lacks_gpu
from dataset.face.crop import FaceCrop
from dataset.files.names import plural
from dataset.prepare.listing import (
    LEFT_OUT,
    by_list,
    by_range,
    filtered,
    label_notes,
    listed,
    listing_of,
    make_split,
    share,
    tell_once,
    unmatched,
)
from dataset.prepare.node import clip_options, face_crop, has_raw, make_loader, open_cache
from dataset.prepare.origin import said_without_raw
from dataset.prepare.prepared import IncompleteError, Prepared
from dataset.prepare.recording import preprocess_all
from dataset.prepare.renewal import differences, renew
from dataset.prepare.splits import Overlap, SplitError, judge
from dataset.store.cache import Cache, Found, Status
from dataset.store.disk import CacheError
from dataset.store.entry import DamagedEntryError
from dataset.store.sources import Difference

__all__ = ["IncompleteError", "Prepared", "face_crop", "judge_overlaps", "make_loader", "prepare"]

DONE = Status("done")
REMADE: set[tuple[Path, str]] = set()  # entries this process has overwritten: sections share them, once is enough


def prepare(
    data: Any, name: str, config: Any, overwrite: bool = False, shard: tuple[int, int] | None = None
) -> Prepared:
    """Make the section `data` (a DATA node) of `name` (train, valid, test, unsupervised) ready.

    A file list that exists is obeyed (rPPG-Toolbox's chunks, or recording ids). Otherwise BEGIN, END and the fold
    choose subjects from the listing; while DATA_PATH exists, missing cache entries are made, and those whose files
    have changed are made again (DO_PREPROCESS True also tries failed ones again and remakes damaged ones; `overwrite`
    remakes all); then the filters of the data set apply. With `shard` (i, n) all this concerns the i-th of n shares of
    the recordings only.

    Of each entry only entry.json is read, once; signals.npz is opened when clips are made, or with DO_PREPROCESS True.
    Raises FileNotFoundError when neither raw data nor cache exist, SplitError for an impossible split or list, and
    IncompleteError when recordings failed and ALLOW_INCOMPLETE is False.
    """
    chunks, wanted = listed(data, name)
    if chunks:
        from dataset.prepare.legacy import prepare_chunks  # late: imports torch

        return prepare_chunks(data, name, config, chunks)
    loader = make_loader(data)
    if loader.windows:
        from dataset.prepare.windows import prepare_windows  # late: few data sets are windows

        return prepare_windows(loader, data, name, config, listed=wanted is not None)
    _refuse_pseudo(data, loader, name)
    root, cache = Path(data.DATA_PATH or ""), open_cache(data, loader)
    listing = listing_of(loader, root, cache, data, name)
    tell_once(cache.root, unmatched(listing, loader, data), name)
    chosen = by_list(listing, wanted, data) if wanted is not None else by_range(listing, loader, data, name)
    split = make_split(data, loader, chosen, by_list=wanted is not None)
    chosen, others = share(chosen, listing, shard)
    chosen, excluded = filtered(chosen, loader, data)
    others, _ = filtered(others, loader, data)
    found = cache.survey(recording.id for recording in chosen)
    found |= _preprocess(chosen, found, loader, cache, data, name, config, overwrite)
    prepared = Prepared(name, data.DATASET, root, 0.0, split, cache, excluded=excluded, select=wanted, others=others)
    _sort_out(prepared, chosen, found, loader, data)
    tell_once(cache.root, label_notes(prepared.recordings), name)
    _settle(prepared, found, data, loader, config)
    return prepared


def judge_overlaps(sections: Sequence[Prepared], selects_epoch: bool = False) -> list[Overlap]:
    """Overlaps between prepared sections that deserve a warning; SplitError for those that make results meaningless.

    `selects_epoch`: the best epoch is chosen on VALID (TEST.USE_LAST_EPOCH is False).
    """
    return judge({prepared.name: prepared.side for prepared in sections}, selects_epoch)


def _refuse_pseudo(data: Any, loader: BaseLoader, name: str) -> None:
    """ValueError for labels made of the picture where there is no picture."""
    if data.PREPROCESS.USE_PSUEDO_PPG_LABEL and not loader.has_video:
        raise ValueError(
            f"{name.upper()}.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL is True, but {data.DATASET} has no video to make "
            f"such labels of. Set it to False."
        )


# --- Making what is missing -----------------------------------------------------------------------------------------


def _preprocess(
    chosen: Sequence[Recording],
    found: dict[str, Found],
    loader: BaseLoader,
    cache: Cache,
    data: Any,
    name: str,
    config: Any,
    overwrite: bool,
) -> dict[str, Found]:
    """Make the entries that are missing, as DO_PREPROCESS says; what has become of those recordings."""
    if not has_raw(data, loader):
        entries = [one.entry for one in found.values() if one.entry is not None]
        if entries:
            print(f"{name.upper()}.DATA: {said_without_raw(cache, entries)}")
        return {}
    cache.clear_abandoned()
    again = {"missing", "failed"} if data.DO_PREPROCESS else {"missing"}
    present = list(chosen)
    anew = {r.id for r in present if overwrite and (cache.root, r.id) not in REMADE}
    pseudo = bool(data.PREPROCESS.USE_PSUEDO_PPG_LABEL)
    crop = replace(face_crop(data), device=config.get("DEVICE", "cpu"))
    workers = config.get("DASK") or config.get("PREPROCESS_WORKERS", -1)
    changed = differences([r for r in present if r.id not in anew], found, cache)
    renewed = renew(
        [r for r in present if r.id in changed and found[r.id].entry], changed, loader, crop, cache, workers, name
    )
    found = {**found, **cache.survey(renewed)}
    untried = [r for r in present if renewed.get(r.id, DONE).state == "done"]
    todo = [
        r
        for r in untried
        if r.id in anew or _lacks(cache, found[r.id], again, pseudo) or _may_work_now(r, found, changed)
    ]
    if not todo:
        _complete(cache, {recording.id: found[recording.id] for recording in present})
        return {name: found[name] for name in renewed}
    REMADE.update((cache.root, name) for name in anew)
    if not (data.DO_PREPROCESS or overwrite):
        print(
            f"{name.upper()}.DATA: {len(todo)} of {plural(len(chosen), 'recording')} not (wholly) in the cache: "
            "making them."
        )
    if loader.has_video:
        _say_gpu(crop, name)
    preprocess_all(loader, todo, crop, cache, workers, bool(anew), pseudo)
    return cache.survey([*renewed, *(recording.id for recording in todo)])


def _say_gpu(crop: FaceCrop, name: str) -> None:
    """Say that the GPU which the detector would run on is not there, once for all sections."""
    if crop.do_crop and lacks_gpu(crop.backend, crop.device):
        said = f"DEVICE is {crop.device!r}, but torch sees no CUDA device here: faces are looked for on the CPU."
        tell_once(Path(crop.device), [said], name)


def _may_work_now(recording: Recording, found: Mapping[str, Found], changed: Mapping[str, Difference]) -> bool:
    """Whether a recording that failed, or was skipped, has other files than then."""
    return found[recording.id].entry is None and recording.id in changed


def _lacks(cache: Cache, found: Found, again: Collection[str], pseudo: bool) -> bool:
    """Whether something of a recording has to be made; pseudo labels need the colour of the whole frame, too."""
    if found.entry is None:
        # An entry whose entry.json cannot be used is named where it is read, unless asked to be made again.
        return found.status.state in again
    entry = replace(found.entry)  # what it reads goes with it: there may be thousands
    try:
        if "failed" in again:
            cache.verified(entry.id)
    except DamagedEntryError:
        return True
    return pseudo and entry.frame_trace is None


def _complete(cache: Cache, found: dict[str, Found]) -> None:
    """Write status files and manifest where a kill, or a full disk, came between them and the last entry."""
    try:
        cache.complete(found)
    except CacheError as error:  # nothing is missing but the account of it
        print(f"Note: the manifest of the cache is not up to date. {error}")


# --- What came of it ------------------------------------------------------------------------------------------------


def _sort_out(
    prepared: Prepared, chosen: Sequence[Recording], found: dict[str, Found], loader: BaseLoader, data: Any
) -> None:
    """Enter done, failed and excluded recordings; the filters see what was found out while reading."""
    for recording in chosen:
        status, entry = found[recording.id].status, found[recording.id].entry
        if entry is not None:
            full = replace(recording, info={**recording.info, **entry.info})
            if loader.select(full, data):
                prepared.recordings.append(full)
            else:
                prepared.excluded.append((full, LEFT_OUT))
        elif status.state == "skipped":
            prepared.excluded.append((recording, status.reason or "skipped"))
        else:
            prepared.failed.append((recording, status.reason or _why_missing(has_raw(data, loader), data)))


def _why_missing(raw: bool, data: Any) -> str:
    return "not preprocessed" if raw else f"not in the cache, and DATA_PATH '{data.DATA_PATH}' does not exist"


def _settle(prepared: Prepared, found: dict[str, Found], data: Any, loader: BaseLoader, config: Any) -> None:
    """Fill in what depends on the recordings, and refuse what is missing."""
    entries = [found[recording.id].entry for recording in prepared.recordings]
    prepared.rendered = _all_rendered(prepared, [entry.id for entry in entries if entry.rendered])
    prepared.allow_incomplete = bool(config.ALLOW_INCOMPLETE)
    prepared.types = tuple(data.PREPROCESS.DATA_TYPE)
    own = entries[0].fs if entries else 0.0
    prepared.fs = float(data.get("RESAMPLE_FS", 0) or data.FS or loader.fs or own)
    # Before the check: who catches its error may go on.
    prepared.clip_options = clip_options(data, loader, prepared.name in ("train", "valid"))
    prepared.check()
    if not prepared.recordings and not prepared.others:
        raise SplitError(
            f"{prepared.name.upper()}.DATA: the filters (INFO, FILTERING) leave none of "
            f"{plural(len(prepared.excluded), 'recording')} of {data.DATASET}. Widen them."
        )


def _all_rendered(prepared: Prepared, rendered: Sequence[str]) -> bool:
    """Whether the recordings are rendered, which is said; ValueError where such stand among real ones."""
    if not rendered:
        return False
    section = prepared.name.upper()
    if len(rendered) < len(prepared.recordings):
        raise ValueError(
            f"{section}.DATA: {len(rendered)} of {len(prepared.recordings)} recordings in '{prepared.cache.root}' are "
            f"rendered ({', '.join(rendered[:5])}) and stand among real ones. Delete their folders there."
        )
    print(f"{section}.DATA: rendered, all of it ({plural(len(rendered), 'recording')}); nobody was measured.")
    return True
