"""The DATA node of a section: its keys, their checks, and the names rPPG-Toolbox gives to what is made of it.

A data set declares its own keys beside its reader: `OPTIONS`, known where the data set is used, and `SHARED`, known in
every DATA node.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from yacs.config import CfgNode

from registry import DATASETS, DETECTORS
from settings.checks import above, at_least, between, each, one_of, registered
from settings.loaded import SECTIONS, Check, Loaded, Owner, value_of
from settings.merging import declare
from settings.modes import used_sections
from settings.modes.neural import validates
from settings.names import own_list

HIGHEST_RATE = 10_000  # Hz that anything is read at
LARGEST_SIDE = 8192  # pixels of a stored face: no camera has more; a slip of the pen would fill the disk

DEFAULT_FILE_LIST = "PreprocessedData/DataFileLists"
REPRESENTATION = one_of("", "Raw", "DiffNormalized", "Standardized")
FACE_SIDE = between(1, LARGEST_SIDE)


def declare_data(tree: CfgNode) -> None:
    """Enter the DATA node of every section."""
    for section in SECTIONS:
        tree.setdefault(section, CfgNode()).DATA = data_section()


def data_section() -> CfgNode:
    """One data set as one part of the run uses it: TRAIN.DATA, VALID.DATA, TEST.DATA, UNSUPERVISED.DATA."""
    node = CfgNode()
    node.BASE = [""]  # files with keys of this node only, merged before everything else in it
    node.DATASET = ""  # name of the reader; `--list` shows them
    node.DATA_PATH = ""  # raw data; where it does not exist, $RPPG_DATA/<DATASET> is tried
    node.CACHED_PATH = "PreprocessedData"  # root of the cache ($RPPG_CACHE); after loading <root>/<EXP_DATA_NAME>
    node.CACHE_ROOT = ""  # set when loading: CACHED_PATH as it was given; the face cache lies below it
    node.EXP_DATA_NAME = ""  # '': made from the settings, as rPPG-Toolbox names its caches
    node.FILE_LIST_PATH = DEFAULT_FILE_LIST  # folder of file lists, or a .csv list made before
    node.FS = 0  # frames per second of the video as used; may be fractional; 0: what the recordings say
    node.RESAMPLE_FS = 0.0  # read clips at this rate instead (Hz); 0: as recorded
    node.LABEL_ALIGN = "auto"  # labels to frames by timestamps, by index (stretched), or auto: what the data set has
    node.DO_PREPROCESS = False  # True: failed ones, too; what is missing or has changed is read in any case
    node.DATA_FORMAT = "NDCHW"  # accepted for rPPG-Toolbox's files; clips are ordered as each network wants them
    node.BEGIN = 0.0  # the part of the subjects that is used: from this share of the list ...
    node.END = 1.0  # ... to this one
    node.FILTERING = filtering_section()
    node.SPLIT_UNIT = ""  # what BEGIN and END count: subject or recording; '': what the data set says (subject)
    node.FOLD = CfgNode()
    node.FOLD.FOLD_NAME = ""  # suffix of the file list
    node.FOLD.FOLD_PATH = ""  # .csv with a column `subjects`: the subjects of the fold
    node.FOLD.SUBJECTS = []  # the subjects of the fold by name; []: what FOLD_PATH says, or all
    node.FOLD.RECORDINGS = []  # the recordings of the fold by id; []: all of its subjects
    node.PREPROCESS = preprocess_section()
    for name in DATASETS:
        declare(node, DATASETS[name].SHARED)
    return node


def filtering_section() -> CfgNode:
    """Tasks and recordings that are kept."""
    node = CfgNode()
    node.USE_EXCLUSION_LIST = False  # leave out what EXCLUSION_LIST names
    node.EXCLUSION_LIST = [""]  # recording ids
    node.SELECT_TASKS = False  # keep only what TASK_LIST names
    node.TASK_LIST = [""]  # parts of recording ids, such as T1
    return node


def preprocess_section() -> CfgNode:
    """From frames to clips."""
    node = CfgNode()
    node.USE_PSUEDO_PPG_LABEL = False  # train on POS signals instead of the measured ones (rPPG-Toolbox's spelling)
    node.DATA_TYPE = [""]  # Raw, DiffNormalized, Standardized: stacked on the channel axis in this order
    node.DATA_AUG = ["None"]  # ['Motion']: motion-augmented videos stored as .npy
    node.LABEL_TYPE = ""  # Raw, DiffNormalized or Standardized
    node.DO_CHUNK = True  # False: one clip is the whole recording
    node.CHUNK_LENGTH = 180  # frames per clip; samples where a method reads signals alone
    node.CHUNK_SECONDS = 0.0  # length of a clip in seconds instead; 0: CHUNK_LENGTH counts
    node.CHUNK_STRIDE = 0  # from the start of a clip to that of the next, as CHUNK_LENGTH is counted; 0: its length
    node.DECODER = "pyav"  # pyav or opencv
    node.CROP_FACE = crop_face_section()
    node.RESIZE = CfgNode()
    node.RESIZE.W = 128  # pixels
    node.RESIZE.H = 128  # pixels
    return node


def crop_face_section() -> CfgNode:
    """Where the face is, and how much around it is kept."""
    node = CfgNode()
    node.DO_CROP_FACE = True  # False: the whole frame is resized
    node.BACKEND = "HC"  # face detector. HC: Haar cascade. CF: CenterFace. Y5F: YOLO5Face. CF, Y5F need a file (README)
    node.USE_LARGE_FACE_BOX = True  # enlarge the detected box about its centre ...
    node.LARGE_BOX_COEF = 1.5  # ... by this factor
    node.NO_FACE = "search"  # no face in the first frame: search the first 5 s, or take the full_frame
    node.SEVERAL = "auto"  # of several faces: biggest, track (as before), or auto (biggest; Y5F: the surest)
    node.TRACK = ""  # flow: the box follows the face between detections; '': it stays where the last one put it
    node.SMOOTH = 0.0  # smooth the boxes of all frames over so many seconds; 0: not
    node.LOST = "keep"  # frames without a face: keep the box before, interpolate it, or drop the frames
    node.DETECTION = CfgNode()
    node.DETECTION.DO_DYNAMIC_DETECTION = False  # detect again every DYNAMIC_DETECTION_FREQUENCY frames
    node.DETECTION.DYNAMIC_DETECTION_FREQUENCY = 30  # frames
    node.DETECTION.USE_MEDIAN_FACE_BOX = False  # one box per recording: the median of all detected boxes
    return node


# --- Checks ----------------------------------------------------------------------------------------------------------


def detector(value: Any) -> str | None:
    """A registered face detector; rPPG-Toolbox takes every name with Y5F for YOLO5Face."""
    problem = registered(DETECTORS)("Y5F" if "Y5F" in str(value) else value)
    if problem and value == "RF":
        return f"{problem} RF, rPPG-Toolbox's RetinaFace, is not here: CF and Y5F are networks, too."
    return problem


CHECKS: dict[str, Check] = {
    "D.DATASET": registered(DATASETS),
    "D.FS": at_least(0),
    "D.RESAMPLE_FS": between(0, HIGHEST_RATE),
    "D.LABEL_ALIGN": one_of("auto", "timestamps", "index"),
    "D.DATA_FORMAT": one_of("NDCHW", "NCDHW", "NDHWC"),
    "D.BEGIN": between(0, 1, open_high=True),
    "D.END": between(0, 1, open_low=True),
    "D.SPLIT_UNIT": one_of("", "subject", "recording"),
    "D.PREPROCESS.DATA_TYPE": each(REPRESENTATION),
    "D.PREPROCESS.DATA_AUG": each(one_of("None", "Motion")),
    "D.PREPROCESS.LABEL_TYPE": REPRESENTATION,
    "D.PREPROCESS.CHUNK_LENGTH": at_least(1),
    "D.PREPROCESS.CHUNK_SECONDS": at_least(0),
    "D.PREPROCESS.CHUNK_STRIDE": at_least(0),
    "D.PREPROCESS.DECODER": one_of("pyav", "opencv"),
    "D.PREPROCESS.RESIZE.W": FACE_SIDE,
    "D.PREPROCESS.RESIZE.H": FACE_SIDE,
}
CROP_CHECKS: dict[str, Check] = {  # below CROP_FACE, where a face is cropped
    "BACKEND": detector,
    "LARGE_BOX_COEF": above(0),
    "NO_FACE": one_of("search", "full_frame"),
    "SEVERAL": one_of("auto", "biggest", "track"),
    "TRACK": one_of("", "flow"),
    "SMOOTH": at_least(0),
    "LOST": one_of("keep", "interpolate", "drop"),
    "DETECTION.DYNAMIC_DETECTION_FREQUENCY": at_least(1),
}


def checks() -> Mapping[str, Check]:
    """All checks of the DATA nodes, those of the data sets' own keys included."""
    own = {f"D.{key}": check for name in DATASETS for key, check in DATASETS[name].CHECKS.items()}
    return {**CHECKS, **own}


def check_sections(loaded: Loaded) -> None:
    """What only several keys of a DATA node together can tell; ConfigError."""
    for section in used_sections(loaded.config):
        _check_data(loaded, section)
        _check_crop(loaded, section)
        _check_boxes(loaded, section)


def _check_data(loaded: Loaded, section: str) -> None:
    data = loaded.config[section].DATA
    name = f"{section}.DATA"
    if data.BEGIN >= data.END:
        raise loaded.error(f"{name}.BEGIN", f"is {data.BEGIN}, but must be below {name}.END, which is {data.END}.")
    suffix = os.path.splitext(data.FILE_LIST_PATH)[1]
    if suffix not in ("", ".csv") and not os.path.isdir(data.FILE_LIST_PATH):
        raise loaded.error(f"{name}.FILE_LIST_PATH", f"is {data.FILE_LIST_PATH!r}, neither a folder nor a .csv file.")
    if data.DO_PREPROCESS and own_list(data):
        raise loaded.error(
            f"{name}.FILE_LIST_PATH",
            f"names the list {data.FILE_LIST_PATH!r}, but {name}.DO_PREPROCESS: True makes a new one. "
            "Name a folder, or set DO_PREPROCESS: False.",
        )


def _check_crop(loaded: Loaded, section: str) -> None:
    crop = loaded.config[section].DATA.PREPROCESS.CROP_FACE
    for key, check in CROP_CHECKS.items() if crop.DO_CROP_FACE else ():
        problem = check(value_of(crop, key))
        if problem:
            raise loaded.error(f"{section}.DATA.PREPROCESS.CROP_FACE.{key}", problem)


def _check_boxes(loaded: Loaded, section: str) -> None:
    """Boxes that follow a face need one for each frame, and a face that may be lost."""
    data, name = loaded.config[section].DATA, f"{section}.DATA.PREPROCESS.CROP_FACE"
    crop = data.PREPROCESS.CROP_FACE
    following = {"TRACK": crop.TRACK, "SMOOTH": crop.SMOOTH, "LOST": crop.LOST != "keep"}
    following["SEVERAL"] = crop.SEVERAL == "track"
    for key in (key for key, on in following.items() if on and crop.DO_CROP_FACE):
        if not crop.DETECTION.DO_DYNAMIC_DETECTION or crop.DETECTION.USE_MEDIAN_FACE_BOX:
            wanted = "Set DETECTION.DO_DYNAMIC_DETECTION: True and USE_MEDIAN_FACE_BOX: False."
            raise loaded.error(f"{name}.{key}", f"is {crop[key]!r}, but one box serves all frames. {wanted}")
    if crop.DO_CROP_FACE and crop.LOST != "keep" and crop.NO_FACE == "full_frame":
        problem = f"is {crop.LOST!r}, but with NO_FACE: full_frame no face is ever lost. Set NO_FACE: search."
        raise loaded.error(f"{name}.LOST", problem)
    if crop.DO_CROP_FACE and crop.LOST == "drop" and data.LABEL_ALIGN == "index":
        problem = "is 'index', but CROP_FACE.LOST: drop leaves frames out: labels need their times. Set it to auto."
        raise loaded.error(f"{section}.DATA.LABEL_ALIGN", problem)


def _median_of_one(config: CfgNode) -> Iterator[str]:
    for section in used_sections(config):
        detection = config[section].DATA.PREPROCESS.CROP_FACE.DETECTION
        if detection.USE_MEDIAN_FACE_BOX and not detection.DO_DYNAMIC_DETECTION:
            key = f"{section}.DATA.PREPROCESS.CROP_FACE.DETECTION.USE_MEDIAN_FACE_BOX"
            yield f"{key} has no effect without DO_DYNAMIC_DETECTION: there is only one box."


FILTERS = {"EXCLUSION_LIST": "USE_EXCLUSION_LIST", "TASK_LIST": "SELECT_TASKS"}  # a list -> what switches it on


def _filters_that_are_off(config: CfgNode) -> Iterator[str]:
    for section in used_sections(config):
        how = config[section].DATA.FILTERING
        for listed, switch in FILTERS.items():
            if any(str(name) for name in how[listed]) and not how[switch]:
                yield f"{section}.DATA.FILTERING.{listed} has no effect without {switch}=True: nothing is left out."


def _fold_without_a_name(config: CfgNode) -> Iterator[str]:
    for section in used_sections(config):
        fold = config[section].DATA.FOLD
        if fold.FOLD_PATH and not fold.FOLD_NAME and not fold.SUBJECTS:
            yield f"{section}.DATA.FOLD.FOLD_PATH has no effect without FOLD_NAME: nobody is left out."


# --- Derived names: users' caches, checkpoints and scripts carry them, so every letter stays ------------------------


def experiment_name(data: CfgNode, section: str) -> str:
    """The name rPPG-Toolbox gives a preprocessed data set; its spellings and its SizeH are kept."""
    prepared, crop = data.PREPROCESS, data.PREPROCESS.CROP_FACE
    length = f"{prepared.CHUNK_SECONDS:g}s" if prepared.CHUNK_SECONDS else prepared.CHUNK_LENGTH
    parts = [
        data.DATASET,
        f"SizeW{prepared.RESIZE.W}",
        f"SizeH{prepared.RESIZE.H if section == 'TEST' else prepared.RESIZE.W}",
        f"ClipLength{length}",
        f"DataType{'_'.join(map(str, prepared.DATA_TYPE))}",
        f"DataAug{'_'.join(map(str, prepared.DATA_AUG))}",
        f"LabelType{prepared.LABEL_TYPE}",
        f"Crop_face{crop.DO_CROP_FACE}",
        f"Backend{crop.BACKEND}",
        f"Large_box{crop.USE_LARGE_FACE_BOX}",
        f"Large_size{crop.LARGE_BOX_COEF}",
        f"Dyamic_Det{crop.DETECTION.DO_DYNAMIC_DETECTION}",
        f"det_len{crop.DETECTION.DYNAMIC_DETECTION_FREQUENCY}",
        f"Median_face_box{crop.DETECTION.USE_MEDIAN_FACE_BOX}",
    ]
    return "_".join(str(part) for part in (*parts, *(["unsupervised"] if section == "UNSUPERVISED" else [])))


def _list_path(data: CfgNode, name: str) -> str:
    """Path of the file list; a .csv file stays."""
    if os.path.splitext(data.FILE_LIST_PATH)[1] == ".csv":
        return data.FILE_LIST_PATH
    fold = f"_{data.FOLD.FOLD_NAME}" if data.FOLD.FOLD_NAME else ""
    return os.path.join(data.FILE_LIST_PATH, f"{name}_{data.BEGIN}_{data.END}{fold}.csv")


def derive(loaded: Loaded) -> None:
    """Names of caches and lists of every section, also of those that the run does not use."""
    for section in SECTIONS:
        named = section != "VALID" or validates(loaded.config)
        _derive_data(loaded.config[section].DATA, section, named)


def _derive_data(data: CfgNode, section: str, named: bool) -> None:
    """Names of one section. A file written by `dump` has them already: its CACHE_ROOT tells."""
    if data.CACHE_ROOT and data.CACHED_PATH == os.path.join(data.CACHE_ROOT, data.EXP_DATA_NAME):
        return
    data.CACHE_ROOT = data.CACHED_PATH
    if not named:
        return
    if data.FILE_LIST_PATH == DEFAULT_FILE_LIST:
        data.FILE_LIST_PATH = os.path.join(data.CACHED_PATH, "DataFileLists")
    data.EXP_DATA_NAME = data.EXP_DATA_NAME or experiment_name(data, section)
    data.CACHED_PATH = os.path.join(data.CACHED_PATH, data.EXP_DATA_NAME)
    data.FILE_LIST_PATH = _list_path(data, data.EXP_DATA_NAME)


DATA = Owner(
    declare_data,
    checks,
    rules=(check_sections,),
    warnings=(_median_of_one, _filters_that_are_off, _fold_without_a_name),
    derive=derive,
    later=("D.PREPROCESS.CHUNK_SECONDS", "D.PREPROCESS.CHUNK_STRIDE", "D.FOLD.RECORDINGS"),
)
