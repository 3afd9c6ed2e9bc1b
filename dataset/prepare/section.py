"""From one DATA section to recordings that are ready: listing, split, cache, preprocessing, selection.

Nothing torch is imported before clips are asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset.data_loader.base import BaseLoader, Recording, natural_key
from dataset.face.crop import FaceCrop
from dataset.prepare.recording import preprocess_all
from dataset.prepare.splits import Overlap, Split, SplitError, by_fold, judge, read_fold, take
from dataset.store.cache import Cache, CacheError, DamagedEntryError, Entry, Status, cache_folder
from registry import DATASETS

if TYPE_CHECKING:
    from dataset.clips.clips import ClipDataset
    from dataset.prepare.legacy import LegacyChunks

# Added to CROP_FACE later: caches made before stay valid, as these values change nothing.
BOXES_AS_BEFORE = {"SEVERAL": "auto", "TRACK": "", "SMOOTH": 0, "LOST": "keep"}
ROOT = Path(__file__).resolve().parents[2]
REMADE: set[tuple[Path, str]] = set()  # entries this process has overwritten: sections share them, once is enough
CHUNK_NAME = re.compile(r".+_input\d{1,9}\.npy", re.DOTALL)


class IncompleteError(RuntimeError):
    """A section lacks recordings; the message names them with the reasons. `prepared` is what there is."""

    exit_code = 3

    def __init__(self, prepared: Prepared):
        """Compose the message."""
        self.prepared = prepared
        lines = [f"  {recording.id}: {reason}" for recording, reason in prepared.failed]
        super().__init__(
            f"{prepared.name.upper()}.DATA ({prepared.dataset}) is incomplete: "
            f"{len(prepared.failed)} of {prepared.total} recordings are missing.\n" + "\n".join(lines) + "\n"
            "Mend or remove these recordings, leave them out on purpose (a file list, EXCLUSION_LIST), or set "
            "ALLOW_INCOMPLETE: True; every table then says INCOMPLETE."
        )


@dataclass
class Prepared:
    """One section, ready to be read.

    recordings  selected and done, in the order of the split      failed    (recording, reason)
    excluded    (recording, reason): left out on purpose          split     what BEGIN, END, folds or a list chose
    others      chosen, but of another shard (none without --shard)
    cache       None when rPPG-Toolbox's own chunks are read      chunks    those chunk files
    fs          frames per second of the clips (FS, or what the recordings say)
    select      clips by recording when a list chose them, else None
    """

    name: str
    dataset: str
    root: Path
    fs: float
    split: Split
    cache: Cache | None = None
    recordings: list[Recording] = field(default_factory=list)
    failed: list[tuple[Recording, str]] = field(default_factory=list)
    excluded: list[tuple[Recording, str]] = field(default_factory=list)
    others: list[Recording] = field(default_factory=list)
    select: dict[str, list[int]] | None = None
    chunks: list[Path] = field(default_factory=list)
    clip_options: dict[str, Any] = field(default_factory=dict)
    types: tuple[str, ...] = ()
    allow_incomplete: bool = False

    @property
    def total(self) -> int:
        """Recordings wanted: ready and failed."""
        return len(self.recordings) + len(self.failed)

    @property
    def incomplete(self) -> str:
        """'INCOMPLETE n/m' for the head of a table, '' when nothing is missing."""
        return f"INCOMPLETE {len(self.recordings)}/{self.total}" if self.failed else ""

    @property
    def used(self) -> Split:
        """The split without what was left out on purpose: what overlaps with other sections are judged by."""
        left_out = {recording.id for recording, _ in self.excluded}
        return replace(self.split, ids=tuple(name for name in self.split.ids if name not in left_out))

    @property
    def legacy(self) -> bool:
        """Whether rPPG-Toolbox's own chunks are read: no cache entries, no native signals."""
        return bool(self.chunks)

    def entry(self, recording: Recording | str) -> Entry:
        """Cache entry of a recording."""
        if self.cache is None:
            raise ValueError(f"{self.name.upper()}.DATA reads rPPG-Toolbox's chunks; they have no cache entry.")
        return self.cache.entry(recording if isinstance(recording, str) else recording.id)

    def clips(self, **changes: Any) -> ClipDataset | LegacyChunks:
        """The clips of all recordings; `changes` replace fields of `dataset.clips.clips.ClipOptions`.

        Recordings that cannot be cut move to `failed`; IncompleteError unless ALLOW_INCOMPLETE, or if none is left.
        """
        if self.legacy:
            from dataset.prepare.legacy import LegacyChunks

            dataset: ClipDataset | LegacyChunks = LegacyChunks(self.chunks, self.fs)
        else:
            from dataset.clips.clips import ClipDataset, ClipOptions

            options = replace(ClipOptions(**self.clip_options), **changes)
            dataset = ClipDataset(self.entry, [recording.id for recording in self.recordings], options, self.select)
        for note in dataset.notes:
            print(f"{self.name.upper()}.DATA: {note}")
        self._move_failed(dict(dataset.failed))
        self.check()
        return dataset

    def check(self) -> None:
        """IncompleteError when recordings are missing and may not be, or when none is left."""
        if self.failed and (not self.allow_incomplete or not self.recordings):
            raise IncompleteError(self)

    def _move_failed(self, reasons: dict[str, str]) -> None:
        self.failed += [(recording, reasons[recording.id]) for recording in self.recordings if recording.id in reasons]
        self.recordings = [recording for recording in self.recordings if recording.id not in reasons]


def prepare(
    data: Any, name: str, config: Any, overwrite: bool = False, shard: tuple[int, int] | None = None
) -> Prepared:
    """Make the section `data` (a DATA node) of `name` (train, valid, test, unsupervised) ready.

    A file list that exists is obeyed (rPPG-Toolbox's chunks, or recording ids). Otherwise BEGIN, END and the fold
    choose subjects from the frozen listing; missing cache entries are made while DATA_PATH exists (DO_PREPROCESS True
    also tries failed ones again and remakes damaged ones; `overwrite` remakes all); then the filters of the data set
    apply. With `shard` (i, n) all this concerns the i-th of n shares of the recordings only.

    Raises FileNotFoundError when neither raw data nor cache exist, SplitError for an impossible split or list, and
    IncompleteError when recordings failed and ALLOW_INCOMPLETE is False.
    """
    chunks, wanted = _listed(data, name)
    if chunks:
        return _legacy(data, name, config, chunks)
    loader = make_loader(data)
    root = Path(data.DATA_PATH or "")
    cache = open_cache(data, loader)
    listing = _listing(loader, root, cache, data, name)
    chosen = _by_list(listing, wanted, data) if wanted is not None else _by_range(listing, loader, data, name)
    split = make_split(data, loader, chosen, by_list=wanted is not None)
    chosen, others = share(chosen, listing, shard)
    chosen, excluded = _filtered(chosen, loader, data)
    others, _ = _filtered(others, loader, data)
    _preprocess(chosen, loader, root, cache, data, name, config, overwrite)
    prepared = _sorted_out(chosen, excluded, loader, cache, data)
    prepared = replace(prepared, name=name, root=root, split=split, select=wanted, others=others)
    _settle(prepared, data, loader, config)
    return prepared


def judge_overlaps(sections: Sequence[Prepared], selects_epoch: bool = False) -> list[Overlap]:
    """Overlaps between prepared sections that deserve a warning; SplitError for those that make results meaningless.

    `selects_epoch`: the best epoch is chosen on VALID (TEST.USE_LAST_EPOCH is False).
    """
    return judge({prepared.name: (prepared.root, prepared.used) for prepared in sections}, selects_epoch)


def share(
    chosen: Sequence[Recording], listing: Sequence[Recording], shard: tuple[int, int] | None
) -> tuple[list[Recording], list[Recording]]:
    """Those of `chosen` that belong to a shard (i, n), and the rest: every n-th of the frozen `listing`, from the i-th.

    Places are counted over the whole listing, so sections that share recordings agree on whose they are.
    """
    if shard is None:
        return list(chosen), []
    number, count = shard
    own = {recording.id for recording in listing[number - 1 :: count]}
    return [r for r in chosen if r.id in own], [r for r in chosen if r.id not in own]


# --- Which recordings -----------------------------------------------------------------------------------------------


def make_loader(data: Any) -> BaseLoader:
    """The reader that `DATASET` names, with its own options and those of decoding as plain values."""
    kind = DATASETS[data.DATASET]
    options = {key: _plain(data[key]) for key in kind.OPTIONS if key in data}
    options |= {
        "DECODER": data.PREPROCESS.get("DECODER", "pyav"),
        "DATA_AUG": list(data.PREPROCESS.DATA_AUG),
        "DATA_MODE": data.PREPROCESS.IBVP.DATA_MODE,
    }
    return kind(options)


def make_split(data: Any, loader: BaseLoader, chosen: Sequence[Recording], by_list: bool = False) -> Split:
    """The split as it is stored and compared."""
    return Split(
        dataset=data.DATASET,
        ids=tuple(recording.id for recording in chosen),
        subjects={recording.id: recording.subject for recording in chosen},
        unit="recording" if by_list else _unit(loader, data),
        begin=0.0 if by_list else float(data.BEGIN),
        end=1.0 if by_list else float(data.END),
        fold="" if by_list else data.FOLD.FOLD_NAME,
    )


def _listed(data: Any, name: str) -> tuple[list[Path], dict[str, list[int]] | None]:
    """Chunk files, or clips by recording id, that a file list names; ([], None) without a list."""
    path, cached = Path(data.FILE_LIST_PATH), Path(data.CACHED_PATH)
    if data.DO_PREPROCESS:
        return [], None
    if not path.is_file():
        if path.suffix == ".csv" and not path.name.startswith(f"{data.EXP_DATA_NAME}_"):  # that name was derived
            raise FileNotFoundError(
                f"{name.upper()}.DATA.FILE_LIST_PATH '{path}' does not exist. Name an existing list or a folder."
            )
        return ([] if _has_raw(data) else _bare_chunks(cached, data)), None
    from dataset.prepare import legacy  # late: imports torch

    lines = legacy.read_list(path, cached)
    print(f"{name.upper()}.DATA: {len(lines)} clips as listed in '{path}'.")
    if lines[0].path is not None:
        return [line.path for line in lines if line.path is not None], None
    wanted: dict[str, list[int]] = {}
    for line in lines:
        wanted.setdefault(line.stem, []).append(line.number)
    return [], wanted


def _bare_chunks(cached: Path, data: Any) -> list[Path]:
    """rPPG-Toolbox's chunks in a folder without list and without raw data: usable only as a whole."""
    if not cached.is_dir() or not any(CHUNK_NAME.fullmatch(file.name) for file in cached.iterdir()):
        return []
    from dataset.prepare.legacy import find_chunks

    if (data.BEGIN, data.END) != (0, 1) or data.FOLD.FOLD_PATH:
        raise SplitError(
            f"'{cached}' holds rPPG-Toolbox's chunks, but '{data.FILE_LIST_PATH}', the list of those between BEGIN "
            f"{data.BEGIN} and END {data.END}, does not exist, nor do the raw data to tell. Give FILE_LIST_PATH."
        )
    return find_chunks(cached)


def _has_raw(data: Any, loader: BaseLoader | None = None) -> bool:
    """Whether recordings can be read: DATA_PATH exists, or the reader makes its files itself."""
    return bool(data.DATA_PATH) and (Path(data.DATA_PATH).exists() or getattr(loader, "generated", False))


def _listing(loader: BaseLoader, root: Path, cache: Cache, data: Any, name: str) -> list[Recording]:
    """The frozen listing, with paths when the raw data are there."""
    if _has_raw(data, loader):
        recordings = loader.recordings(root)
        if not recordings:
            raise FileNotFoundError(
                f"{name.upper()}.DATA.DATA_PATH '{root}' holds no recording of {data.DATASET}. "
                f"The expected layout is at the top of {type(loader).__module__.replace('.', '/')}.py."
            )
        _refuse_doubles(recordings, root)
        cache.freeze(recordings)
        by_id = {recording.id: recording for recording in recordings}
        return [by_id.get(row["id"]) or _without_path(row, root) for row in cache.listing()]
    if not cache.root.is_dir():
        raise FileNotFoundError(
            f"No preprocessed data for {name.upper()}.DATA ({data.DATASET}) in '{cache.root}', and "
            f"DATA_PATH '{data.DATA_PATH}' does not exist.\n"
            f"Set {name.upper()}.DATA.DATA_PATH to the raw data (or RPPG_DATA to the folder above them), or "
            f"{name.upper()}.DATA.CACHED_PATH to an existing cache."
        )
    return [_without_path(row, root) for row in cache.listing()]


def _without_path(row: dict[str, Any], root: Path) -> Recording:
    return Recording(id=row["id"], subject=row["subject"], path=root / row["id"], info={"absent": True})


def _refuse_doubles(recordings: Sequence[Recording], root: Path) -> None:
    doubles = [name for name, count in Counter(recording.id for recording in recordings).items() if count > 1]
    if doubles:
        raise ValueError(f"'{root}' holds several recordings called {', '.join(doubles[:5])}. Keep one of each.")


def _by_range(listing: Sequence[Recording], loader: BaseLoader, data: Any, name: str) -> list[Recording]:
    chosen = take(listing, data.BEGIN, data.END, _unit(loader, data))
    subjects = _fold(data)
    if subjects:
        chosen, absent = by_fold(chosen, subjects)
        if absent:
            print(
                f"{name.upper()}.DATA: {len(absent)} of {len(subjects)} subjects of the fold are absent: {absent[:5]}"
            )
    if not chosen:
        raise SplitError(
            f"{name.upper()}.DATA: BEGIN {data.BEGIN} to END {data.END} of {len(listing)} recordings "
            f"({len({r.subject for r in listing})} subjects) is empty. Widen the range or check the fold."
        )
    return chosen


def _fold(data: Any) -> list[str]:
    """Subjects of the section's fold; [] without one."""
    named = [str(name) for name in data.FOLD.get("SUBJECTS") or []]
    if named or not (data.FOLD.FOLD_NAME and data.FOLD.FOLD_PATH):
        return named
    path = Path(data.FOLD.FOLD_PATH)
    return read_fold(path if path.exists() else ROOT / path)


def _by_list(listing: Sequence[Recording], wanted: dict[str, list[int]], data: Any) -> list[Recording]:
    known = {recording.id for recording in listing}
    unknown = sorted(set(wanted) - known, key=natural_key)
    if unknown:
        raise SplitError(
            f"The list '{data.FILE_LIST_PATH}' names {len(unknown)} recording(s) that {data.DATASET} does not have: "
            f"{', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}. There are: "
            f"{', '.join(recording.id for recording in listing[:5])}{', ...' if len(listing) > 5 else ''}."
        )
    return [recording for recording in listing if recording.id in wanted]


def _unit(loader: BaseLoader, data: Any) -> str:
    return data.get("SPLIT_UNIT") or getattr(loader, "split_unit", "subject")


def _filtered(
    chosen: Sequence[Recording], loader: BaseLoader, data: Any
) -> tuple[list[Recording], list[tuple[Recording, str]]]:
    """Those the data set's filters keep, and those left out on purpose."""
    kept, excluded = [], []
    for recording in chosen:
        if _selected(loader, recording, data):
            kept.append(recording)
        else:
            excluded.append((recording, "left out by INFO or FILTERING"))
    return kept, excluded


def _selected(loader: BaseLoader, recording: Recording, data: Any) -> bool:
    try:
        return loader.select(recording, data)
    except KeyError:  # what the filter asks for is known only after the recording was read
        return True


# --- Cache ----------------------------------------------------------------------------------------------------------


def open_cache(data: Any, loader: BaseLoader) -> Cache:
    """The face cache of a DATA node."""
    settings = cache_settings(data, loader)
    above = data.get("CACHE_ROOT") or _above_experiment(data)
    return Cache(cache_folder(above, data.DATASET, data.DATA_PATH or "", settings), settings)


def _above_experiment(data: Any) -> Path:
    """CACHED_PATH as the user gave it: loading a configuration appends EXP_DATA_NAME."""
    cached = Path(data.CACHED_PATH)
    return cached.parent if data.EXP_DATA_NAME and cached.name == data.EXP_DATA_NAME else cached


def cache_settings(data: Any, loader: BaseLoader) -> dict[str, Any]:
    """All that the stored frames depend on, as plain values."""
    return {
        "RESIZE": _plain(face_size(data)),
        "CROP_FACE": _crop_settings(data.PREPROCESS.CROP_FACE),
        "DECODER": data.PREPROCESS.get("DECODER", "pyav"),
        "IBVP": data.PREPROCESS.IBVP.DATA_MODE,
        "DATA_AUG": list(data.PREPROCESS.DATA_AUG),
        "VERSION": loader.version,
        "OPTIONS": _identity(data, loader),
    }


def _crop_settings(crop: Any) -> dict[str, Any]:
    """CROP_FACE as plain values, without later additions that are off."""
    return {key: _plain(value) for key, value in crop.items() if BOXES_AS_BEFORE.get(key, ...) != value}


def _identity(data: Any, loader: BaseLoader) -> dict[str, Any]:
    """What the frames depend on beside the files: what the reader says, or its options."""
    if hasattr(loader, "identity"):
        return loader.identity()
    return {key: _plain(data[key]) for key in sorted(loader.OPTIONS) if key in data and key != "SPLIT_UNIT"}


def face_size(data: Any) -> dict[str, int]:
    """W and H of the stored faces: RESIZE, or BigSmall's big size in a section that names types for its big frames.

    Its small frames are made of the big ones when they are read.
    """
    preprocess = data.PREPROCESS
    if any(preprocess.BIGSMALL.BIG_DATA_TYPE):
        return {"W": preprocess.BIGSMALL.RESIZE.BIG_W, "H": preprocess.BIGSMALL.RESIZE.BIG_H}
    return preprocess.RESIZE


def face_crop(data: Any) -> FaceCrop:
    """The face settings of a DATA node as plain values."""
    size = face_size(data)
    crop, detection = data.PREPROCESS.CROP_FACE, data.PREPROCESS.CROP_FACE.DETECTION
    return FaceCrop(
        size=(size["W"], size["H"]),
        do_crop=crop.DO_CROP_FACE,
        backend=crop.BACKEND,
        large_box=crop.USE_LARGE_FACE_BOX,
        large_coef=crop.LARGE_BOX_COEF,
        dynamic=detection.DO_DYNAMIC_DETECTION,
        frequency=detection.DYNAMIC_DETECTION_FREQUENCY,
        median=detection.USE_MEDIAN_FACE_BOX,
        no_face=crop.get("NO_FACE", "search"),
        decoder=data.PREPROCESS.get("DECODER", "pyav"),
        several=crop.get("SEVERAL", "auto"),
        track=crop.get("TRACK", ""),
        smooth=float(crop.get("SMOOTH", 0)),
        lost=crop.get("LOST", "keep"),
    )


def _preprocess(
    chosen: Sequence[Recording],
    loader: BaseLoader,
    root: Path,
    cache: Cache,
    data: Any,
    name: str,
    config: Any,
    overwrite: bool,
) -> None:
    """Make the entries that are missing, as DO_PREPROCESS says."""
    if not _has_raw(data, loader):
        return
    again = {"missing", "failed"} if data.DO_PREPROCESS else {"missing"}
    present = [recording for recording in chosen if "absent" not in recording.info]
    anew = {r.id for r in present if overwrite and (cache.root, r.id) not in REMADE}
    pseudo = bool(data.PREPROCESS.USE_PSUEDO_PPG_LABEL)
    todo = [r for r in present if r.id in anew or _lacks(cache, r, again, pseudo)]
    if not todo:
        _complete(cache, present)
        return
    REMADE.update((cache.root, name) for name in anew)
    if not (data.DO_PREPROCESS or overwrite):
        print(
            f"{name.upper()}.DATA: {len(todo)} of {len(chosen)} recordings are not (wholly) in the cache; making them."
        )
    crop = replace(face_crop(data), device=config.get("DEVICE", "cpu"))
    workers = config.get("DASK") or config.get("PREPROCESS_WORKERS", -1)
    preprocess_all(loader, todo, crop, cache, workers, bool(anew), pseudo)


def _lacks(cache: Cache, recording: Recording, again: set[str], pseudo: bool) -> bool:
    """Whether something of this recording has to be made; pseudo labels need the colour of the whole frame, too."""
    state = cache.status(recording.id).state
    if state != "done":
        return state in again
    if "failed" not in again and not pseudo:
        return False  # a damaged one is named where it is read
    try:
        entry = cache.entry(recording.id)
    except DamagedEntryError:
        return "failed" in again
    return pseudo and entry.frame_trace is None


def _complete(cache: Cache, recordings: Sequence[Recording]) -> None:
    """Write status files and manifest where a kill, or a full disk, came between them and the last entry."""
    try:
        for recording in recordings:
            cache.confirm(recording.id)
        cache.write_manifest()
    except CacheError as error:  # nothing is missing but the account of it
        print(f"Note: the manifest of the cache is not up to date. {error}")


def _sorted_out(
    chosen: Sequence[Recording],
    excluded: list[tuple[Recording, str]],
    loader: BaseLoader,
    cache: Cache,
    data: Any,
) -> Prepared:
    """Done, failed and excluded recordings; the filters see what was found out while reading."""
    prepared = Prepared(name="", dataset=data.DATASET, root=Path(), fs=0.0, split=Split("", ()), cache=cache)
    prepared.excluded = list(excluded)
    for recording in chosen:
        status, info = _state(cache, recording)
        if status.state == "done":
            full = replace(recording, info={**recording.info, **info})
            if loader.select(full, data):
                prepared.recordings.append(full)
            else:
                prepared.excluded.append((full, "left out by INFO or FILTERING"))
        elif status.state == "skipped":
            prepared.excluded.append((recording, status.reason or "skipped"))
        else:
            prepared.failed.append((recording, status.reason or _why_missing(_has_raw(data, loader), data, recording)))
    return prepared


def _state(cache: Cache, recording: Recording) -> tuple[Status, dict[str, Any]]:
    """What became of a recording, and what its entry says of it; an entry that cannot be read costs no other."""
    status = cache.status(recording.id)
    try:
        return status, cache.entry(recording.id).info if status.state == "done" else {}
    except DamagedEntryError as error:
        return Status("failed", str(error)), {}


def _why_missing(has_raw: bool, data: Any, recording: Recording) -> str:
    if not has_raw:
        return f"not in the cache, and DATA_PATH '{data.DATA_PATH}' does not exist"
    if "absent" not in recording.info:
        return "not preprocessed"
    return (
        f"its files are gone from DATA_PATH '{data.DATA_PATH}'. Bring them back, or delete recordings.json in the "
        f"cache: it is then made again"
    )


def _settle(prepared: Prepared, data: Any, loader: BaseLoader, config: Any) -> None:
    """Fill in what depends on the recordings, and refuse what is missing."""
    prepared.allow_incomplete = bool(config.ALLOW_INCOMPLETE)
    prepared.types = tuple(data.PREPROCESS.DATA_TYPE)
    prepared.fs = _rate(prepared, data, loader)
    prepared.clip_options = _clip_options(data, prepared) | {
        "keep": loader.keep_clip,
        "bands": loader.bands,
    }  # before the check: who catches its error may go on
    prepared.check()
    if not prepared.recordings and not prepared.others:
        raise SplitError(
            f"{prepared.name.upper()}.DATA: the filters (INFO, FILTERING) leave none of "
            f"{len(prepared.excluded)} recordings of {data.DATASET}. Widen them."
        )


def _rate(prepared: Prepared, data: Any, loader: BaseLoader) -> float:
    if data.get("RESAMPLE_FS", 0) > 0:
        return float(data.RESAMPLE_FS)
    own = [prepared.entry(recording).fs for recording in prepared.recordings[:1]]
    return float(data.FS or loader.fs or (own[0] if own else 0.0))


def _clip_options(data: Any, prepared: Prepared) -> dict[str, Any]:
    """Fields of ClipOptions; a label is required for training, and left out where no recording has one."""
    node = data.PREPROCESS
    training = prepared.name in ("train", "valid")
    labelled = (
        training or node.USE_PSUEDO_PPG_LABEL or any("ppg" in prepared.entry(r).signals for r in prepared.recordings)
    )
    return {
        "chunk_length": node.CHUNK_LENGTH,
        "do_chunk": node.DO_CHUNK,
        "label": "ppg" if labelled else None,
        "label_type": node.LABEL_TYPE or "Raw",
        "label_align": data.get("LABEL_ALIGN", "auto"),
        "label_required": training,
        "pseudo": node.USE_PSUEDO_PPG_LABEL,
        "resample_fs": float(data.get("RESAMPLE_FS", 0.0)),
    }


def _plain(node: Any) -> Any:
    """A configuration node as nested plain dicts and lists."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return list(node) if isinstance(node, (list, tuple)) else node


# --- rPPG-Toolbox's own chunks --------------------------------------------------------------------------------------


def _legacy(data: Any, name: str, config: Any, chunks: list[Path]) -> Prepared:
    from dataset.prepare import legacy

    stems = list(dict.fromkeys(legacy.split_name(path)[0] for path in chunks))
    every = [Recording(id=stem, subject=stem, path=Path(data.CACHED_PATH)) for stem in stems]
    keep = {stem for stem in stems if legacy.kept(stem, data)}
    if not keep:
        raise SplitError(f"{name.upper()}.DATA: INFO or FILTERING leave none of {len(stems)} listed recordings.")
    print(f"{name.upper()}.DATA: reading {len(chunks)} chunks of rPPG-Toolbox from '{data.CACHED_PATH}'.")
    if not data.FS:
        raise ValueError(f"{name.upper()}.DATA.FS is 0: rPPG-Toolbox's chunks do not say their frames per second.")
    return Prepared(
        name=name,
        dataset=data.DATASET,
        root=Path(data.DATA_PATH or data.CACHED_PATH),
        fs=float(data.FS),
        split=Split(data.DATASET, tuple(stems), {stem: stem for stem in stems}, "recording"),
        recordings=[recording for recording in every if recording.id in keep],
        excluded=[(r, "left out by INFO or FILTERING") for r in every if r.id not in keep],
        chunks=[path for path in chunks if legacy.split_name(path)[0] in keep],
        types=tuple(data.PREPROCESS.DATA_TYPE),
        allow_incomplete=bool(config.ALLOW_INCOMPLETE),
    )
