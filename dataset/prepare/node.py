"""What a DATA node says, as plain values: its reader, its cache and what that depends on, its faces, its clips."""

from pathlib import Path
from typing import Any

from dataset.data_loader.base import BaseLoader
from dataset.face.crop import FaceCrop
from dataset.prepare.origin import origin_of, place
from dataset.signals import PULSE_WAVE
from dataset.store.cache import Cache, cache_folder
from registry import DATASETS

# Added to CROP_FACE later: caches made before stay valid, as these values change nothing.
BOXES_AS_BEFORE = {"SEVERAL": "auto", "TRACK": "", "SMOOTH": 0, "LOST": "keep"}


def make_loader(data: Any) -> BaseLoader:
    """The reader that `DATASET` names, with its own options and those of decoding as plain values."""
    kind = DATASETS[data.DATASET]
    options = {key: plain(data[key]) for key in kind.OPTIONS if key in data}
    options |= {
        "DECODER": data.PREPROCESS.get("DECODER", "pyav"),
        "DATA_AUG": list(data.PREPROCESS.DATA_AUG),
        "DETECTOR": data.PREPROCESS.CROP_FACE.BACKEND if data.PREPROCESS.CROP_FACE.DO_CROP_FACE else "",
    }
    options |= shared_options(data)
    return kind(options)


def shared_options(data: Any) -> dict[str, Any]:
    """What the keys that data sets share say to every reader."""
    return {key: value for name in DATASETS for key, value in DATASETS[name].shared_options(data).items()}


def has_raw(data: Any, loader: BaseLoader | None = None) -> bool:
    """Whether recordings can be read: DATA_PATH exists, or `loader` makes its files itself."""
    return bool(data.DATA_PATH) and (Path(data.DATA_PATH).exists() or (loader is not None and loader.generated))


def open_cache(data: Any, loader: BaseLoader) -> Cache:
    """The cache of a DATA node; one of raw data that are there is known by their files (see `origin`)."""
    settings = cache_settings(data, loader)
    above = data.get("CACHE_ROOT") or above_experiment(data)
    folder = cache_folder(above, data.DATASET, data.DATA_PATH or "", settings, loader.has_video)
    origin = origin_of(Path(data.DATA_PATH or ""), loader)
    return place(Cache(folder, settings, origin), loader, face_crop(data), has_raw(data, loader))


def above_experiment(data: Any) -> Path:
    """CACHED_PATH as the user gave it: loading a configuration appends EXP_DATA_NAME."""
    cached = Path(data.CACHED_PATH)
    return cached.parent if data.EXP_DATA_NAME and cached.name == data.EXP_DATA_NAME else cached


def cache_settings(data: Any, loader: BaseLoader) -> dict[str, Any]:
    """All that the stored frames and signals depend on, as plain values; nothing of faces where there is no video."""
    settings = {"VERSION": loader.version, "OPTIONS": _identity(data, loader)}
    if loader.streams:
        settings |= {"STREAMS": list(loader.streams), "DECODER": data.PREPROCESS.get("DECODER", "pyav")}
    return settings | _video_settings(data) if loader.has_video else settings


def _video_settings(data: Any) -> dict[str, Any]:
    return {
        "RESIZE": plain(face_size(data)),
        "CROP_FACE": _crop_settings(data.PREPROCESS.CROP_FACE),
        "DECODER": data.PREPROCESS.get("DECODER", "pyav"),
        "IBVP": shared_options(data)["DATA_MODE"],  # a name in the hash of every cache there is
        "DATA_AUG": list(data.PREPROCESS.DATA_AUG),
    }


def _crop_settings(crop: Any) -> dict[str, Any]:
    """CROP_FACE as plain values, without later additions that are off."""
    return {key: plain(value) for key, value in crop.items() if BOXES_AS_BEFORE.get(key, ...) != value}


def _identity(data: Any, loader: BaseLoader) -> dict[str, Any]:
    """What the frames depend on beside the files: what the reader says, or its options."""
    own = loader.identity()
    if own is not None:
        return own
    return {key: plain(data[key]) for key in sorted(loader.OPTIONS) if key in data and key != "SPLIT_UNIT"}


def face_size(data: Any) -> dict[str, int]:
    """W and H of the stored faces: RESIZE, unless a key that data sets share says another size."""
    sizes = (DATASETS[name].shared_size(data) for name in DATASETS)
    return next((size for size in sizes if size), data.PREPROCESS.RESIZE)


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


def clip_options(data: Any, loader: BaseLoader, required: bool) -> dict[str, Any]:
    """Fields of ClipOptions as the DATA node has them; what a method wants of its clips is set when it asks for them.

    `required`: a recording without the pulse wave fails, unless a method says that it learns something else.
    """
    from dataset.clips.labels import Label  # late: preprocessing needs no filters

    node = data.PREPROCESS
    return {
        "length": node.CHUNK_LENGTH if node.DO_CHUNK else None,
        "seconds": float(node.get("CHUNK_SECONDS", 0.0)) if node.DO_CHUNK else 0.0,
        "stride": int(node.get("CHUNK_STRIDE", 0)) if node.DO_CHUNK else 0,
        "labels": (Label(PULSE_WAVE, required=required),),
        "label_type": label_type_of(node),
        "label_align": data.get("LABEL_ALIGN", "auto"),
        "pseudo": node.USE_PSUEDO_PPG_LABEL,
        "fs": float(data.get("RESAMPLE_FS", 0.0)),
        "keep": loader.keep_clip,
        "bands": loader.bands,
    }


def cutting(data: Any) -> dict[str, Any]:
    """The keys of a DATA node that say which frames clip k of a recording has."""
    node = data.PREPROCESS
    keys = ("CHUNK_LENGTH", "CHUNK_SECONDS", "CHUNK_STRIDE") if node.DO_CHUNK else ()
    found = {f"PREPROCESS.{key}": node.get(key, 0) for key in keys}
    return {"PREPROCESS.DO_CHUNK": bool(node.DO_CHUNK), **found, "RESAMPLE_FS": float(data.get("RESAMPLE_FS", 0.0))}


def label_type_of(preprocess: Any) -> str:
    """LABEL_TYPE of a PREPROCESS node; labels of which nothing is said are used as they were recorded."""
    return str(preprocess.LABEL_TYPE) or "Raw"


def plain(node: Any) -> Any:
    """A configuration node as nested plain dicts and lists."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items()}
    return list(node) if isinstance(node, (list, tuple)) else node
