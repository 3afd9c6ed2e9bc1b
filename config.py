"""All settings of a run: every section declared once, read from YAML files, checked before anything starts.

Read `load_config` first. What wins, from weakest to strongest: the defaults below, the `BASE` of a DATA node, the
files in `BASE` in list order, the file itself, `configs/local.yaml`, the environment, `KEY=VALUE` on the command line.
"""

import difflib
import hashlib
import json
import math
import os
import re
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yacs.config import CfgNode

from registry import DATASETS, DETECTORS, METHODS, METRICS, UNSUPERVISED, Registry

ROOT = Path(__file__).resolve().parent
DEFAULT_FILE = ROOT / "configs" / "demo" / "classical.yaml"  # what runs when no file is named: synthetic faces
SECTIONS = ("TRAIN", "VALID", "TEST", "UNSUPERVISED")  # each has a DATA node
MODES = ("train_and_test", "only_test", "unsupervised_method", "preprocess")
NEURAL_MODES = ("train_and_test", "only_test")
LARGEST = 1 << 21  # bytes of a configuration file
DEFAULT_FILE_LIST = "PreprocessedData/DataFileLists"
OUR_PARTS = ("Train", "Val", "Test", "DATASET_2")  # last folders of a DATA_PATH that also exist below a data root


class ConfigError(ValueError):
    """A setting that cannot work; the message names file, key, value and the nearest valid one."""


# --- The schema -----------------------------------------------------------------------------------------------------


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


def bigsmall_data_section() -> CfgNode:
    """The two resolutions of BigSmall."""
    node = CfgNode()
    node.BIG_DATA_TYPE = [""]  # representations of the big frames
    node.SMALL_DATA_TYPE = [""]  # representations of the small frames
    node.RESIZE = CfgNode()
    node.RESIZE.BIG_W = 144  # pixels
    node.RESIZE.BIG_H = 144  # pixels
    node.RESIZE.SMALL_W = 9  # pixels
    node.RESIZE.SMALL_H = 9  # pixels
    return node


def preprocess_section() -> CfgNode:
    """From frames to clips."""
    node = CfgNode()
    node.USE_PSUEDO_PPG_LABEL = False  # train on POS signals instead of the measured ones (rPPG-Toolbox's spelling)
    node.DATA_TYPE = [""]  # Raw, DiffNormalized, Standardized: stacked on the channel axis in this order
    node.DATA_AUG = ["None"]  # ['Motion']: motion-augmented videos stored as .npy
    node.LABEL_TYPE = ""  # Raw, DiffNormalized or Standardized
    node.DO_CHUNK = True  # False: one clip is the whole recording
    node.CHUNK_LENGTH = 180  # frames per clip
    node.DECODER = "pyav"  # pyav or opencv
    node.CROP_FACE = crop_face_section()
    node.RESIZE = CfgNode()
    node.RESIZE.W = 128  # pixels
    node.RESIZE.H = 128  # pixels
    node.BIGSMALL = bigsmall_data_section()
    node.IBVP = CfgNode()
    node.IBVP.DATA_MODE = "RGB"  # iBVP: RGB, T (thermal) or RGBT
    return node


def info_section() -> CfgNode:
    """MMPD: the codes of the recordings that are kept."""
    node = CfgNode()
    node.LIGHT = [""]  # 1 LED-low, 2 LED-high, 3 incandescent, 4 nature
    node.MOTION = [""]  # 1 stationary, 2 rotation, 3 talking, 4 walking
    node.EXERCISE = [True]  # 1 yes, 2 no (True equals code 1)
    node.SKIN_COLOR = [1]  # Fitzpatrick 3 to 6; the default keeps nothing
    node.GENDER = [""]  # 1 male, 2 female
    node.GLASSER = [True]  # glasses: 1 yes, 2 no (rPPG-Toolbox's spelling)
    node.HAIR_COVER = [True]  # 1 yes, 2 no
    node.MAKEUP = [True]  # 1 yes, 2 no
    return node


def filtering_section() -> CfgNode:
    """UBFC-PHYS: tasks and recordings that are kept."""
    node = CfgNode()
    node.USE_EXCLUSION_LIST = False  # leave out what EXCLUSION_LIST names
    node.EXCLUSION_LIST = [""]  # recording ids
    node.SELECT_TASKS = False  # keep only what TASK_LIST names
    node.TASK_LIST = [""]  # parts of recording ids, such as T1
    return node


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
    node.DO_PREPROCESS = False  # True: complete the cache first; False: make only what is missing
    node.DATA_FORMAT = "NDCHW"  # accepted for rPPG-Toolbox's files; clips are ordered as each network wants them
    node.BEGIN = 0.0  # the part of the subjects that is used: from this share of the list ...
    node.END = 1.0  # ... to this one
    node.INFO = info_section()
    node.FILTERING = filtering_section()
    node.SPLIT_UNIT = ""  # what BEGIN and END count: subject or recording; '': what the data set says (subject)
    node.FOLD = CfgNode()
    node.FOLD.FOLD_NAME = ""  # suffix of the file list
    node.FOLD.FOLD_PATH = ""  # .csv with a column `subjects`: the subjects of the fold
    node.FOLD.SUBJECTS = []  # the subjects of the fold by name; []: what FOLD_PATH says, or all
    node.FOLD.RECORDINGS = []  # the recordings of the fold by id; []: all of its subjects
    node.PREPROCESS = preprocess_section()
    return node


def augment_section() -> CfgNode:
    """Random changes of training clips, different in each epoch; all off by default."""
    node = CfgNode()
    node.FLIP = ""  # mirror half of them: sample (each clip for itself) or batch (the whole batch, as RhythmFormer)
    node.RATE = False  # half of the clips above 90 bpm at half the speed, below 75 bpm at twice (as RhythmFormer)
    node.JITTER = 0  # move the start of a clip by up to so many frames, within its recording
    node.CROP_JITTER = 0.0  # cut off up to this share of the frame, at random sides, and enlarge the rest
    node.GAIN = 0.0  # multiply each colour of a clip by 1 - GAIN to 1 + GAIN
    return node


def train_section() -> CfgNode:
    """Training."""
    node = CfgNode()
    node.EPOCHS = 50  # also the length of the learning rate schedule
    node.BATCH_SIZE = 4  # clips per forward pass over all processes; also for validation
    node.ACCUMULATION_STEPS = 1  # forward passes per update
    node.LR = 1e-4  # learning rate; the peak of a one-cycle schedule
    node.AMP = ""  # mixed precision: bf16 or fp16; '': float32
    node.CLIP_GRAD = 0.0  # largest norm of the gradient; 0: not clipped
    node.COMPILE = False  # torch.compile
    node.EMA = 0.0  # decay of averaged weights; 0: off
    node.EARLY_STOPPING = 0  # epochs without improvement before training stops; 0: never
    node.KEEP_CHECKPOINTS = "all"  # all (as rPPG-Toolbox) or last_and_best
    node.STATE_EVERY = 0  # updates between states to resume from; 0: at the end of each epoch
    node.AUGMENT = augment_section()
    node.OPTIMIZER = CfgNode()
    node.OPTIMIZER.EPS = 1e-4  # accepted, not read (rPPG-Toolbox trains with torch's defaults)
    node.OPTIMIZER.BETAS = (0.9, 0.999)  # accepted, not read
    node.OPTIMIZER.MOMENTUM = 0.9  # accepted, not read
    node.MODEL_FILE_NAME = ""  # prefix of checkpoints, plots and outputs
    node.PLOT_LOSSES_AND_LR = True  # draw the loss and learning rate curves
    node.DATA = data_section()
    return node


def valid_section() -> CfgNode:
    """Validation, used when TEST.USE_LAST_EPOCH is False or MONITOR is on."""
    node = CfgNode()
    node.MONITOR = False  # validate each epoch without selecting an epoch by it
    node.DATA = data_section()
    return node


def test_section() -> CfgNode:
    """Test of a neural method."""
    node = CfgNode()
    node.METRICS = []  # MAE, RMSE, MAPE, Pearson, SNR, MACC, BA (Bland-Altman) ...
    node.USE_LAST_EPOCH = True  # False: the epoch with the least validation score
    node.OUTPUT_SAVE_DIR = ""  # '': <LOG.PATH>/<EXP_DATA_NAME>/saved_test_outputs
    node.DATA = data_section()
    return node


def unsupervised_section() -> CfgNode:
    """Classical methods."""
    node = CfgNode()
    node.METHOD = []  # names in the order they run; `--list` shows them
    node.METRICS = []  # as TEST.METRICS
    node.OUTPUT_SAVE_DIR = ""  # '': <LOG.PATH>/<EXP_DATA_NAME>/saved_outputs
    node.DATA = data_section()
    return node


def factorizephys_section() -> CfgNode:
    """Options of FactorizePhys."""
    node = CfgNode()
    node.FRAME_NUM = 160  # frames per clip
    node.CHANNELS = 3  # 1, 3 or 4 input channels
    node.TYPE = "Standard"  # Standard or Big
    node.MD_FSAM = False  # use the factorised attention block
    node.MD_TYPE = "NMF"  # NMF or VQ
    node.MD_TRANSFORM = "T_KAB"  # T_KAB, TK_AB or K_TAB: which axes form the matrix
    node.MD_R = 1  # rank
    node.MD_S = 1  # groups
    node.MD_STEPS = 4  # iterations
    node.MD_INFERENCE = True  # the block also when testing
    node.MD_RESIDUAL = True  # residual form
    return node


def physformer_section() -> CfgNode:
    """Options of PhysFormer."""
    node = CfgNode()
    node.PATCH_SIZE = 4  # pixels of the feature map per token
    node.DIM = 96  # width of a token
    node.FF_DIM = 144  # width of the feed-forward layer
    node.NUM_HEADS = 4  # attention heads
    node.NUM_LAYERS = 12  # transformer layers
    node.THETA = 0.7  # share of the temporal difference in its convolutions
    return node


def model_section() -> CfgNode:
    """The network. Sections of rPPG-Toolbox's methods are always here; any other method brings its own OPTIONS."""
    node = CfgNode()
    node.NAME = ""  # name of the method; `--list` shows them
    node.MODEL_DIR = "PreTrainedModels"  # folder of checkpoints; after loading <LOG.PATH>/<EXP_DATA_NAME>/<MODEL_DIR>
    node.WEIGHTS = ""  # start training from these weights
    node.RESUME = ""  # continue from this state instead of the run's own last one
    node.DROP_RATE = 0.0  # dropout, where the method reads it
    node.NORM = "batch"  # batch, group or frozen_batch: what normalises inside the networks
    node.LEGACY_LOSS = False  # FactorizePhys, iBVPNet: correlate across the batch as rPPG-Toolbox does
    node.PHYSNET = CfgNode({"FRAME_NUM": 64})  # frames per clip
    node.iBVPNet = CfgNode({"FRAME_NUM": 160, "CHANNELS": 3})  # frames per clip; 1, 3 or 4 input channels
    node.FactorizePhys = factorizephys_section()
    node.TSCAN = CfgNode({"FRAME_DEPTH": 10})  # frames per temporal shift segment
    node.EFFICIENTPHYS = CfgNode({"FRAME_DEPTH": 10})  # frames per temporal shift segment
    node.BIGSMALL = CfgNode({"FRAME_DEPTH": 3})  # frames per temporal shift segment
    node.PHYSFORMER = physformer_section()
    return node


def inference_section() -> CfgNode:
    """From predicted signals to heart rates and errors."""
    node = CfgNode()
    node.BATCH_SIZE = 4  # clips per forward pass when testing
    node.EVALUATION_METHOD = "FFT"  # FFT or peak detection
    node.PRESET = "toolbox"  # toolbox (rPPG-Toolbox's numbers), neurips2023 or exact
    node.HR_BAND = []  # lowest and highest rate looked for (Hz), such as [0.6, 3.3]; []: the preset's
    node.BLAND_ALTMAN_CORRECTION = True  # limits of agreement from the plain differences
    node.EVALUATION_WINDOW = CfgNode()
    node.EVALUATION_WINDOW.USE_SMALLER_WINDOW = False  # rate windows shorter than the recording
    node.EVALUATION_WINDOW.WINDOW_SIZE = 10  # seconds
    node.MODEL_PATH = ""  # weights for only_test
    return node


def schema() -> CfgNode:
    """Every key with its default."""
    node = CfgNode()
    node.BASE = [""]  # files merged before this one, relative to it
    node.TOOLBOX_MODE = ""  # train_and_test, only_test, unsupervised_method or preprocess
    node.SEED = 100  # of all random numbers
    node.DETERMINISTIC = True  # the same numbers at each run on the same machine
    node.DEVICE = "cuda:0"  # cuda:<n>, cpu or auto
    node.NUM_OF_GPU_TRAIN = 1  # more than one needs torchrun
    node.NUM_WORKERS = -1  # processes that read clips; -1: chosen from the machine
    node.PREPROCESS_WORKERS = -1  # processes that preprocess; -1: chosen from cores and memory
    node.ALLOW_INCOMPLETE = False  # go on although recordings failed; tables then say INCOMPLETE
    node.OVERWRITE = False  # preprocess again what is already in the cache (--overwrite)
    node.SHARD = ""  # such as 3/8: preprocess part 3 of 8 of the recordings of each section, and stop (--shard)
    node.DASK = ""  # preprocess on the workers of this dask scheduler, such as tcp://node1:8786 (--dask)
    node.RESTART = False  # start training anew although a state to resume from exists (--restart)
    node.TRAIN = train_section()
    node.VALID = valid_section()
    node.TEST = test_section()
    node.UNSUPERVISED = unsupervised_section()
    node.MODEL = model_section()
    node.INFERENCE = inference_section()
    node.SPLIT = CfgNode()
    node.SPLIT.KIND = ""  # of TRAIN.DATA's subjects: kfold or loso (leave one out) cross-validate, random draws parts
    node.SPLIT.FOLDS = 5  # parts of kfold: each is tested once by a network trained on the others
    node.SPLIT.RATIOS = [0.6, 0.2, 0.2]  # random: shares of TRAIN, VALID and TEST
    node.SPLIT.SEED = 0  # random: decides the draw
    node.SPLIT.BY = "subject"  # random: what is drawn; with `recording` a person may be in several parts
    node.LOG = CfgNode()
    node.LOG.PATH = "runs/exp"  # root of everything written but the cache
    return node


# --- Loading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """Settings of one source; `file` is None for the ones that are no config file."""

    source: str
    values: dict[str, Any]
    file: Path | None = None


@dataclass
class Loaded:
    """A resolved configuration and what was said on the way."""

    config: CfgNode
    log: list[str] = field(default_factory=list)  # merged files, data roots
    warnings: list[str] = field(default_factory=list)  # settings that run but may not mean what was meant
    sources: dict[str, str] = field(default_factory=dict)  # key path -> file or place that set it
    file: str = ""

    def error(self, key: str, problem: str) -> ConfigError:
        """The error for `key`, naming the place that set it."""
        return ConfigError(f"{self.sources.get(key, self.file)}: {key} {problem}")


def load_config(path: str | Path | None = None, overrides: Iterable[str] = ()) -> CfgNode:
    """Frozen settings of the file at `path` (None: the synthetic demo), then of `KEY=VALUE` overrides.

    Raises ConfigError with file, key, value and the nearest valid one.
    """
    return read(path, overrides).config


def read(path: str | Path | None = None, overrides: Iterable[str] = (), *, new_paths: bool = False) -> Loaded:
    """As `load_config`, with the messages for the user.

    `new_paths` True: a DATA_PATH given on the command line need not exist yet.
    """
    path = Path(path or DEFAULT_FILE)
    layers = [*file_layers(path), *local_layers(), *environment_layers(), *override_layers(overrides)]
    layers = [*data_base_layers(layers), *layers]
    loaded = Loaded(extended_schema(layers), file=str(path))
    for layer in layers:
        if layer.file:
            loaded.log.append(f"=> Merging a config file from {layer.source}")
        _merge(loaded, loaded.config, layer.values, layer.source)
    _check_mode(loaded)
    _find_data(loaded, new_paths)
    _check(loaded)
    loaded.warnings.extend(warning for rule in WARNINGS for warning in rule(loaded.config))
    _derive(loaded)
    loaded.config.freeze()
    return loaded


def file_layers(path: Path, chain: tuple[Path, ...] = ()) -> list[Layer]:
    """The file at `path` preceded by its BASE files, in merging order. `chain`: the files that led here."""
    if path.resolve() in chain:
        names = " -> ".join(str(file) for file in (*chain, path.resolve()))
        raise ConfigError(f"{path}: BASE goes in a circle: {names}")
    values = read_yaml(path)
    chain = (*chain, path.resolve())
    layers = []
    for base in _base_files(values.get("BASE"), "BASE", str(path), path.parent):
        layers += file_layers(base, chain)
    return [*layers, Layer(str(path), values, path)]


def data_base_layers(layers: list[Layer]) -> list[Layer]:
    """What the BASE of each DATA node names: the strongest layer that sets it decides, as with every other key."""
    found = []
    for section in SECTIONS:
        setters = [layer for layer in layers if "BASE" in _node(layer.values, section, "DATA")]
        if not setters:
            continue
        layer = setters[-1]
        folder = layer.file.parent if layer.file else Path()
        names = _node(layer.values, section, "DATA")["BASE"]
        for file in _base_files(names, f"{section}.DATA.BASE", layer.source, folder):
            for part in file_layers(file):
                found.append(Layer(part.source, {section: {"DATA": part.values}}, part.file))
    return found


def _base_files(names: Any, key: str, source: str, folder: Path) -> list[Path]:
    """The files a BASE names, relative to `folder`; ConfigError when one is missing."""
    names = decode(names) or []
    if not isinstance(names, (list, tuple)):
        raise ConfigError(f"{source}: {key} is {names!r}, but must be a list of files, such as ['base.yaml'].")
    files = [folder / str(name) for name in names if name]
    for file in files:
        if not file.is_file():
            raise ConfigError(f"{source}: {key} names {str(file)!r}, which does not exist.{_near_files(file)}")
    return [Path(os.path.normpath(file)) for file in files]


def local_file() -> Path | None:
    """The user's own settings for this machine: `configs/local.yaml`, or the file that $RPPG_LOCAL names."""
    named = os.environ.get("RPPG_LOCAL")
    path = ROOT / "configs" / "local.yaml" if named is None else Path(named)
    return path if path.is_file() else None


def local_values() -> dict[str, Any]:
    """What the local file says; {} without one."""
    path = local_file()
    return read_yaml(path) if path else {}


LOCAL_KEYS = ("DATA_ROOT", "DATA_PATHS", "CACHED_PATH")  # of the local file only; all others are ordinary keys


def local_layers() -> list[Layer]:
    """The local file as a layer; its CACHED_PATH stands for that key of each section."""
    values = local_values()
    if not values:
        return []
    source = str(local_file())
    rest = {key: value for key, value in values.items() if key not in LOCAL_KEYS}
    layers = [Layer(source, rest)]
    if values.get("CACHED_PATH"):
        layers.insert(0, Layer(source, everywhere("CACHED_PATH", values["CACHED_PATH"])))
    return layers


def environment_layers() -> list[Layer]:
    """$RPPG_CACHE as the CACHED_PATH of each section."""
    cache = os.environ.get("RPPG_CACHE")
    return [Layer("environment RPPG_CACHE", everywhere("CACHED_PATH", cache))] if cache else []


def everywhere(key: str, value: Any) -> dict[str, Any]:
    """`key` of the DATA node in every section."""
    return {section: {"DATA": {key: value}} for section in SECTIONS}


COMMAND_LINE = "command line"


def override_layers(overrides: Iterable[str]) -> list[Layer]:
    """One layer per `KEY=VALUE`; VALUE is read as it would be in a YAML file."""
    layers = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{COMMAND_LINE}: {override!r} is not KEY=VALUE, such as TRAIN.LR=1e-3")
        values: Any = _yaml_value(text)
        for part in reversed(key.strip().split(".")):
            values = {part: values}
        layers.append(Layer(COMMAND_LINE, values))
    return layers


def _yaml_value(text: str) -> Any:
    if not text:
        return ""
    try:
        value = yaml.load(text, Loader=_UniqueKeyLoader)
    except (yaml.YAMLError, ConfigError):
        return text
    # A number that was meant as a name (MODEL_FILE_NAME=2024) must stay text: decoding happens when the type is known.
    return value if isinstance(value, (bool, list, dict)) or value is None else text


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's plain types only; a key that appears twice in one node is an error and not the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of `node`; ConfigError with both lines when a key is repeated."""
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"line {line}: a key is a list or a mapping; keys are names.")
            key = str(key_node.value)
            if key in lines and key_node.tag != "tag:yaml.org,2002:merge":
                raise ConfigError(f"{key!r} appears twice, in lines {lines[key]} and {line}.")
            lines[key] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, read safely. ConfigError when there is no such file or it is no such mapping."""
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise ConfigError(f"{path}: a configuration is a .yaml file.")
    text = _text_of(path)
    try:
        values = yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError(f"{path}: {place}{error.problem} ({error.context or 'this is not YAML'}).") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply to be meant.") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: a date or number that cannot be
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds no settings (expected lines such as 'TOOLBOX_MODE: only_test').")
    return values


def _text_of(path: Path) -> str:
    """The text of a configuration file; ConfigError when it cannot be one."""
    try:
        if path.exists() and not path.is_dir() and not (path.is_file() and path.stat().st_size <= LARGEST):
            raise ConfigError(f"{path}: a pipe, a device or a file of megabytes is no configuration.")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file.{_near_files(path)}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8 ({error}).") from None


def _near_files(path: Path) -> str:
    if not path.is_absolute() and (ROOT / path).is_file():
        return f" It exists as {str(ROOT / path)!r}."
    names = [file.name for file in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {str(path.parent / near[0])!r}?" if near else ""


def _node(values: Any, *keys: str) -> dict[str, Any]:
    """The mapping below `keys`; {} when there is none."""
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else {}


# --- Options of methods and data sets -------------------------------------------------------------------------------


def extended_schema(layers: list[Layer]) -> CfgNode:
    """The schema with the OPTIONS of the methods and data sets that any layer names."""
    config = schema()
    if _needs_methods(layers, config):
        for name in _names(layers, "MODEL", "NAME"):
            _add_options(config.MODEL, METHODS, name)
    names = [name for section in SECTIONS for name in _names(layers, section, "DATA", "DATASET")]
    names += _owners({key for layer in layers for section in SECTIONS for key in _node(layer.values, section, "DATA")})
    for name in dict.fromkeys(names):
        for section in SECTIONS:
            _add_options(config[section].DATA, DATASETS, name)
    return config


def _needs_methods(layers: list[Layer], config: CfgNode) -> bool:
    """Whether the networks must be imported: a classical run can do without torch."""
    modes = _names(layers, "TOOLBOX_MODE")
    if modes and modes[-1] in NEURAL_MODES:
        return True
    return any(_has_unknown(_node(layer.values, "MODEL"), config.MODEL) for layer in layers)


def _has_unknown(values: dict[str, Any], node: CfgNode) -> bool:
    """Whether a key of `values`, or of a section in it, is not in `node`."""
    for key, value in values.items():
        if key not in node:
            return True
        if isinstance(value, dict) and isinstance(node[key], CfgNode) and _has_unknown(value, node[key]):
            return True
    return False


def _owners(keys: set[str]) -> list[str]:
    """The data sets that declare any of these keys, for the keys no data set of the run declares."""
    if keys <= set(data_section()):
        return []
    return [name for name in DATASETS if keys & set(getattr(DATASETS[name], "OPTIONS", {}))]


def _names(layers: list[Layer], *path: str) -> list[str]:
    """Every text that some layer gives to the key, in merging order."""
    values = [decode(_node(layer.values, *path[:-1]).get(path[-1])) for layer in layers]
    return [value for value in values if value and isinstance(value, str)]


def _add_options(node: CfgNode, registry: Registry, name: str) -> None:
    if name in registry:
        _declare(node, getattr(registry[name], "OPTIONS", {}))


def _declare(node: CfgNode, options: dict[str, Any]) -> None:
    for key, value in options.items():
        if not isinstance(value, dict):
            node[key] = value
        else:
            node.setdefault(key, CfgNode())
            _declare(node[key], value)


# --- Merging --------------------------------------------------------------------------------------------------------


def decode(value: Any) -> Any:
    """A text that is a Python literal as that literal (`9e-3`, `None`, `(0.9, 0.99)`); anything else unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value


def _merge(loaded: Loaded, node: CfgNode, values: Any, source: str, path: str = "") -> None:
    for key, value in values.items():
        full = f"{path}.{key}" if path else str(key)
        if key not in node:
            raise ConfigError(_unknown_key(loaded, node, full, key, source))
        if isinstance(node[key], CfgNode):
            if value is None:
                continue
            if not isinstance(value, dict):
                raise ConfigError(f"{source}: {full} is {value!r}, but it is a section: {_known(node[key])}.")
            _merge(loaded, node[key], value, source, full)
        else:
            node[key] = _converted(value, node[key], full, source)
            loaded.sources[full] = source


def _unknown_key(loaded: Loaded, node: CfgNode, full: str, key: Any, source: str) -> str:
    near = _nearest(str(key), list(node))
    hint = f" Did you mean {near!r}?" if near else ""
    if not near and full.startswith("MODEL."):
        hint = f" (A method's own section is known when MODEL.NAME names it; it is {loaded.config.MODEL.NAME!r}.)"
    return f"{source}: unknown key {full}.{hint} Known: {_known(node)}."


def _known(node: Iterable[str]) -> str:
    return ", ".join(node)


def _nearest(name: str, known: Iterable[str]) -> str | None:
    known = {str(entry).lower(): str(entry) for entry in known}
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    parts = [entry for entry in known if len(name) > 3 and (name.lower() in entry or entry in name.lower())]
    return known[near[0]] if near else known[parts[0]] if parts else None


def _converted(value: Any, default: Any, key: str, source: str) -> Any:
    """`value` in the type of `default`; ConfigError when it cannot be."""
    found = decode(value)
    kind = type(default)
    if isinstance(default, str) and isinstance(value, str) and not (found is None or isinstance(found, str)):
        return value  # a name that happens to read as a number, such as 12_3
    if found is None or default is None or type(found) is kind:
        return found
    if kind in (list, tuple) and type(found) in (list, tuple):
        return kind(found)
    if kind is float and type(found) is int:
        return float(found)
    if key.endswith(".FS") and type(found) is float:
        return found
    raise ConfigError(f"{source}: {key} is {value!r}, but must be {_TYPES[kind]}, such as {_example(default)}.")


_TYPES = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    tuple: "a list",
}


def _example(default: Any) -> str:
    return repr(default) if default not in ("", [], [""]) else "'name'" if default == "" else "['name']"


# --- Where the data are ---------------------------------------------------------------------------------------------


def used_sections(config: CfgNode) -> list[str]:
    """The sections whose data this run reads, in the order TRAIN, VALID, TEST, UNSUPERVISED."""
    mode = config.TOOLBOX_MODE
    if mode == "preprocess":
        return [section for section in SECTIONS if config[section].DATA.DATASET]
    if mode == "unsupervised_method":
        return ["UNSUPERVISED"]
    if mode == "only_test":
        return ["TEST"]
    validates = not config.TEST.USE_LAST_EPOCH or config.VALID.MONITOR
    return ["TRAIN", "VALID", "TEST"] if validates else ["TRAIN", "TEST"]


def _find_data(loaded: Loaded, new_paths: bool) -> None:
    """Replace a DATA_PATH that does not exist by the data root's folder of that data set, and say so."""
    for section in used_sections(loaded.config):
        data = loaded.config[section].DATA
        key = f"{section}.DATA.DATA_PATH"
        if not data.DATASET or (data.DATA_PATH and os.path.exists(data.DATA_PATH)):
            continue
        if data.DATASET in DATASETS and DATASETS[data.DATASET].generated:
            continue
        if loaded.sources.get(key) == COMMAND_LINE:
            if not new_paths:
                raise loaded.error(key, f"is {data.DATA_PATH!r}, which does not exist.")
            continue
        for place, path in data_candidates(data.DATASET, data.DATA_PATH or ""):
            if path.exists():
                loaded.log.append(f"{key}: {str(data.DATA_PATH)!r} does not exist; reading {str(path)!r} ({place}).")
                data.DATA_PATH = str(path)
                break


def data_candidates(dataset: str, data_path: str) -> list[tuple[str, Path]]:
    """Where else a data set may lie, with who says so: below $RPPG_DATA, then what the local file says."""
    local = local_values()
    last = Path(data_path).name
    parts = [last] if last in OUR_PARTS else []
    mapped = _node(local, "DATA_PATHS").get(dataset)
    roots = [("RPPG_DATA", os.environ.get("RPPG_DATA")), (str(local_file()), local.get("DATA_ROOT"))]
    found = [(place, Path(root, dataset)) for place, root in roots if root]
    found += [(str(local_file()), Path(mapped))] if mapped else []
    below = [(place, path.joinpath(*parts)) for place, path in found]
    return below + found if last == "DATASET_2" else below


# --- Checks ---------------------------------------------------------------------------------------------------------


Check = Callable[[Any], str | None]  # the problem with a value, None when there is none


def one_of(*choices: Any) -> Check:
    """One of a few fixed values."""
    return lambda value: None if value in choices else _not_known(value, choices)


def _not_known(value: Any, choices: Iterable[Any]) -> str:
    near = _nearest(str(value), [choice for choice in choices if choice])
    hint = f" Did you mean {near!r}?" if near else ""
    return f"is {value!r}.{hint} Known: {', '.join(repr(choice) if not choice else str(choice) for choice in choices)}."


def registered(registry: Registry) -> Check:
    """A name in `registry`, which is filled only when the check runs."""

    def check(value: Any) -> str | None:
        if not value:
            return f"is not set. Known: {', '.join(registry.names())}."
        if value in registry:
            return None
        return f"is {value!r}. {registry.hint(value)}"

    return check


def metric(value: Any) -> str | None:
    """A registered metric, or rPPG-Toolbox's families: every name with BA (Bland-Altman) or AU (action units)."""
    if isinstance(value, str) and ("BA" in value or "AU" in value or value in METRICS):
        return None
    return f"holds {value!r}. {METRICS.hint(value)} Also: BA."


def detector(value: Any) -> str | None:
    """A registered face detector; rPPG-Toolbox takes every name with Y5F for YOLO5Face."""
    return registered(DETECTORS)("Y5F" if "Y5F" in str(value) else value)


def preset(value: Any) -> str | None:
    """The name of an evaluation preset."""
    from evaluation.presets import PRESETS  # late: only runs that evaluate need it

    return None if value in PRESETS else _not_known(value, PRESETS)


def each(check: Check, filled: bool = False) -> Check:
    """`check` for every element of a list; `filled`: the list must have one."""

    def check_all(values: Any) -> str | None:
        if filled and not values:
            return "is empty: name at least one."
        return next((problem for problem in map(check, values or ()) if problem), None)

    return check_all


def between(low: float, high: float = math.inf, open_low: bool = False, open_high: bool = False) -> Check:
    """A finite number from `low` to `high`, ends included unless they are open."""
    left, right = "(" if open_low else "[", ")" if open_high or high == math.inf else "]"

    def check(value: Any) -> str | None:
        inside = isinstance(value, (int, float)) and math.isfinite(value) and low <= value <= high
        if inside and not (open_low and value == low) and not (open_high and value == high):
            return None
        if high == math.inf:
            return f"is {value!r}, but must be {'above' if open_low else 'at least'} {low}."
        return f"is {value!r}, but must lie in {left}{low}, {high}{right}."

    return check


def above(low: float) -> Check:
    """A finite number greater than `low`."""
    return between(low, open_low=True)


def at_least(low: float) -> Check:
    """A finite number not less than `low`."""
    return between(low)


def band(value: Any) -> str | None:
    """Nothing, or two rising frequencies in Hz."""
    numbers = isinstance(value, list) and all(isinstance(edge, (int, float)) for edge in value)
    if numbers and (not value or (len(value) == 2 and 0 < value[0] < value[1])):
        return None
    return f"is {value!r}, but must be [] or two rising frequencies in Hz, such as [0.6, 3.3]."


def device(value: Any) -> str | None:
    """A device torch can be asked for."""
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", str(value)):
        return None
    return f"is {value!r}, but must be auto, cpu, mps, cuda or cuda:<number>."


def workers(value: Any) -> str | None:
    """A number of processes, or -1 for as many as fit."""
    return None if value == -1 or value >= 1 else f"is {value!r}, but must be 1 or more, or -1: as many as fit."


def shard(text: str) -> tuple[int, int] | None:
    """(i, n) of a SHARD such as '3/8', counted from 1; None for ''. ValueError says what is wrong."""
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(text))
    number, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(f"is {text!r}, but must be i/n with i from 1 to n, such as 3/8: the third of eight parts.")
    return number, count


def shard_text(value: Any) -> str | None:
    """A part of the recordings."""
    try:
        shard(value)
    except ValueError as error:
        return str(error)
    return None


def scheduler(value: Any) -> str | None:
    """Nothing, or the address of a dask scheduler."""
    if not value or re.fullmatch(r"(tcp|tls|wss?|ucx)://\S+:\d+", str(value)):
        return None
    return f"is {value!r}, but must be the address that the scheduler prints, such as tcp://node1:8786."


def three_shares(value: Any) -> str | None:
    """Three numbers of at least 0, the first above it."""
    numbers = isinstance(value, (list, tuple)) and all(isinstance(one, (int, float)) and one >= 0 for one in value)
    if numbers and len(value) == 3 and value[0] > 0 and sum(value) < math.inf:
        return None
    return f"is {value!r}, but must be three numbers: the shares of TRAIN, VALID and TEST, such as [0.6, 0.2, 0.2]."


REPRESENTATION = one_of("", "Raw", "DiffNormalized", "Standardized")

# By key path; `D` stands for the DATA node of each used section.
CHECKS: dict[str, Check] = {
    "SEED": at_least(0),
    "DEVICE": device,
    "NUM_OF_GPU_TRAIN": at_least(0),
    "NUM_WORKERS": at_least(-1),
    "PREPROCESS_WORKERS": workers,
    "SHARD": shard_text,
    "DASK": scheduler,
    "SPLIT.KIND": one_of("", "kfold", "loso", "random"),
    "SPLIT.FOLDS": at_least(2),
    "SPLIT.RATIOS": three_shares,
    "SPLIT.SEED": at_least(0),
    "SPLIT.BY": one_of("subject", "recording"),
    "D.DATASET": registered(DATASETS),
    "D.FS": at_least(0),
    "D.RESAMPLE_FS": at_least(0),
    "D.LABEL_ALIGN": one_of("auto", "timestamps", "index"),
    "D.DATA_FORMAT": one_of("NDCHW", "NCDHW", "NDHWC"),
    "D.BEGIN": between(0, 1, open_high=True),
    "D.END": between(0, 1, open_low=True),
    "D.SPLIT_UNIT": one_of("", "subject", "recording"),
    "D.PREPROCESS.DATA_TYPE": each(REPRESENTATION),
    "D.PREPROCESS.DATA_AUG": each(one_of("None", "Motion")),
    "D.PREPROCESS.LABEL_TYPE": REPRESENTATION,
    "D.PREPROCESS.CHUNK_LENGTH": at_least(1),
    "D.PREPROCESS.DECODER": one_of("pyav", "opencv"),
    "D.PREPROCESS.RESIZE.W": at_least(1),
    "D.PREPROCESS.RESIZE.H": at_least(1),
    "D.PREPROCESS.CROP_FACE.BACKEND": detector,
    "D.PREPROCESS.CROP_FACE.LARGE_BOX_COEF": above(0),
    "D.PREPROCESS.CROP_FACE.NO_FACE": one_of("search", "full_frame"),
    "D.PREPROCESS.CROP_FACE.SEVERAL": one_of("auto", "biggest", "track"),
    "D.PREPROCESS.CROP_FACE.TRACK": one_of("", "flow"),
    "D.PREPROCESS.CROP_FACE.SMOOTH": at_least(0),
    "D.PREPROCESS.CROP_FACE.LOST": one_of("keep", "interpolate", "drop"),
    "D.PREPROCESS.CROP_FACE.DETECTION.DYNAMIC_DETECTION_FREQUENCY": at_least(1),
    "D.PREPROCESS.BIGSMALL.BIG_DATA_TYPE": each(REPRESENTATION),
    "D.PREPROCESS.BIGSMALL.SMALL_DATA_TYPE": each(REPRESENTATION),
    "D.PREPROCESS.BIGSMALL.RESIZE.BIG_W": at_least(1),
    "D.PREPROCESS.BIGSMALL.RESIZE.BIG_H": at_least(1),
    "D.PREPROCESS.BIGSMALL.RESIZE.SMALL_W": at_least(1),
    "D.PREPROCESS.BIGSMALL.RESIZE.SMALL_H": at_least(1),
    "D.PREPROCESS.IBVP.DATA_MODE": one_of("RGB", "T", "RGBT"),
    "TRAIN.EPOCHS": at_least(1),
    "TRAIN.BATCH_SIZE": at_least(1),
    "TRAIN.ACCUMULATION_STEPS": at_least(1),
    "TRAIN.LR": above(0),
    "TRAIN.AMP": one_of("", "bf16", "fp16"),
    "TRAIN.CLIP_GRAD": at_least(0),
    "TRAIN.EMA": between(0, 1, open_high=True),
    "TRAIN.EARLY_STOPPING": at_least(0),
    "TRAIN.KEEP_CHECKPOINTS": one_of("all", "last_and_best"),
    "TRAIN.STATE_EVERY": at_least(0),
    "TRAIN.AUGMENT.FLIP": one_of("", "sample", "batch"),
    "TRAIN.AUGMENT.JITTER": at_least(0),
    "TRAIN.AUGMENT.CROP_JITTER": between(0, 0.5),
    "TRAIN.AUGMENT.GAIN": between(0, 1, open_high=True),
    "TEST.METRICS": each(metric),
    "UNSUPERVISED.METHOD": each(registered(UNSUPERVISED), filled=True),
    "UNSUPERVISED.METRICS": each(metric),
    "MODEL.NAME": registered(METHODS),
    "MODEL.NORM": one_of("batch", "group", "frozen_batch"),
    "MODEL.DROP_RATE": between(0, 1, open_high=True),
    "INFERENCE.BATCH_SIZE": at_least(1),
    "INFERENCE.EVALUATION_METHOD": one_of("FFT", "peak detection"),
    "INFERENCE.PRESET": preset,
    "INFERENCE.HR_BAND": band,
    "INFERENCE.EVALUATION_WINDOW.WINDOW_SIZE": above(0),
}


def _check_mode(loaded: Loaded) -> None:
    problem = one_of(*MODES)(loaded.config.TOOLBOX_MODE)
    if problem:
        raise loaded.error("TOOLBOX_MODE", problem)


def _check(loaded: Loaded) -> None:
    """Every check of what the mode uses; then what only several keys together can tell."""
    for key in (key for pattern in CHECKS for key in _expanded(pattern, loaded.config)):
        pattern = re.sub(r"^[A-Z]+\.DATA\.", "D.", key)
        problem = CHECKS[pattern](_value(loaded.config, key))
        if problem:
            raise loaded.error(key, problem)
    for section in used_sections(loaded.config):
        _check_data(loaded, section)
        _check_boxes(loaded, section)
    _check_together(loaded)


def _expanded(pattern: str, config: CfgNode) -> Iterator[str]:
    """The key paths a pattern of CHECKS stands for in this run."""
    first, _, rest = pattern.partition(".")
    used = used_sections(config)
    if first == "D":
        for section in used:
            crops = config[section].DATA.PREPROCESS.CROP_FACE.DO_CROP_FACE
            if crops or ".CROP_FACE." not in pattern:
                yield f"{section}.DATA.{rest}"
    elif first in SECTIONS:
        if first in used and config.TOOLBOX_MODE != "preprocess":
            yield pattern
    elif first == "MODEL":
        if config.TOOLBOX_MODE in NEURAL_MODES:
            yield pattern
    elif first != "INFERENCE" or config.TOOLBOX_MODE != "preprocess":
        yield pattern


def _value(config: CfgNode, key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        node = node[part]
    return node


def _check_data(loaded: Loaded, section: str) -> None:
    data = loaded.config[section].DATA
    name = f"{section}.DATA"
    if data.BEGIN >= data.END:
        raise loaded.error(f"{name}.BEGIN", f"is {data.BEGIN}, but must be below {name}.END, which is {data.END}.")
    suffix = os.path.splitext(data.FILE_LIST_PATH)[1]
    if suffix not in ("", ".csv") and not os.path.isdir(data.FILE_LIST_PATH):
        raise loaded.error(f"{name}.FILE_LIST_PATH", f"is {data.FILE_LIST_PATH!r}, neither a folder nor a .csv file.")
    if suffix == ".csv" and data.DO_PREPROCESS and not data.CACHE_ROOT:
        raise loaded.error(
            f"{name}.FILE_LIST_PATH",
            f"names the list {data.FILE_LIST_PATH!r}, but {name}.DO_PREPROCESS: True makes a new one. "
            "Name a folder, or set DO_PREPROCESS: False.",
        )


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


def _check_together(loaded: Loaded) -> None:
    config = loaded.config
    pseudo = "UNSUPERVISED.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL"
    if config.TOOLBOX_MODE == "unsupervised_method" and _value(config, pseudo):
        raise loaded.error(pseudo, "is True, but a classical method is judged by measured labels. Set it to False.")
    if config.TOOLBOX_MODE == "preprocess" and not used_sections(config):
        raise ConfigError(f"{loaded.file}: preprocess needs a DATASET in at least one of {', '.join(SECTIONS)}.")
    if config.TOOLBOX_MODE == "only_test" and not config.INFERENCE.MODEL_PATH:
        raise loaded.error("INFERENCE.MODEL_PATH", "is not set: only_test needs a file of weights.")
    if config.TOOLBOX_MODE in ("train_and_test", "train") and config.SPLIT.KIND:
        _check_folds(loaded)
        _check_kind(loaded)


def _check_folds(loaded: Loaded) -> None:
    """Folds are made of TRAIN.DATA's subjects, so nothing else may choose recordings."""
    config, used = loaded.config, used_sections(loaded.config)
    train = config.TRAIN.DATA
    for section in used:
        data = config[section].DATA
        for key in ("DATASET", "DATA_PATH"):
            if data[key] != train[key]:
                problem = f"is {data[key]!r}, but SPLIT.KIND {config.SPLIT.KIND!r} tests on parts of TRAIN.DATA."
                raise loaded.error(f"{section}.DATA.{key}", f"{problem} Set it to {train[key]!r}.")
        listed = data.FILE_LIST_PATH.endswith(".csv") and not data.CACHE_ROOT  # not a name that was derived
        if data.FOLD.FOLD_PATH or data.FOLD.SUBJECTS or data.FOLD.RECORDINGS or listed:
            problem = "and FILE_LIST_PATH must name no fold and no list: SPLIT.KIND makes its own. Remove them."
            raise loaded.error(f"{section}.DATA.FOLD", problem)


def _check_kind(loaded: Loaded) -> None:
    """What kfold, loso and random ask of the mode and of other keys."""
    config, used = loaded.config, used_sections(loaded.config)
    if config.SPLIT.KIND == "random":
        for section, share in zip(("TRAIN", "VALID", "TEST"), config.SPLIT.RATIOS, strict=True):
            if section in used and not share and not (section == "TEST" and config.TOOLBOX_MODE == "train"):
                raise loaded.error("SPLIT.RATIOS", f"gives {section} nothing, which this run reads. Give it a share.")
        return
    if config.TOOLBOX_MODE == "train":
        problem = f"is {config.SPLIT.KIND!r}, but train has no test to cross-validate. Set it to random, or to ''."
        raise loaded.error("SPLIT.KIND", problem)
    if config.SPLIT.KIND == "kfold" and config.SPLIT.FOLDS < 3 and "VALID" in used:
        raise loaded.error("SPLIT.FOLDS", "is 2, but one fold is tested and one validated: 3 are needed to train.")
    if config.MODEL.RESUME:
        raise loaded.error("MODEL.RESUME", "names one training, but SPLIT.KIND makes several. Remove one of them.")


# --- Warnings: rPPG-Toolbox's files that cannot mean what they say stay as they are ---------------------------------


def _unused_range(config: CfgNode) -> Iterator[str]:
    data = config.VALID.DATA
    if config.TOOLBOX_MODE == "train_and_test" and "VALID" not in used_sections(config) and data.BEGIN >= data.END:
        yield f"VALID.DATA holds no subject (BEGIN {data.BEGIN}, END {data.END}); no effect, as validation is off."


def _unreleased_weights(config: CfgNode) -> Iterator[str]:
    if config.TOOLBOX_MODE == "only_test" and Path(config.INFERENCE.MODEL_PATH).name == "iBVP_iBVPNet.pth":
        yield "INFERENCE.MODEL_PATH: rPPG-Toolbox names iBVP_iBVPNet.pth but never released it; train it first."


def _weights_without_fsam(config: CfgNode) -> Iterator[str]:
    weights = Path(config.INFERENCE.MODEL_PATH).name
    if config.TOOLBOX_MODE == "only_test" and "FSAM_Res" in weights and not config.MODEL.FactorizePhys.MD_FSAM:
        yield f"MODEL.FactorizePhys.MD_FSAM is False: {weights} runs without the attention block it was trained with."


TRAINED_ON = {"EfficientPhys": ("Standardized", "DiffNormalized")}  # released weights: frames, labels


def _other_representation(config: CfgNode) -> Iterator[str]:
    prepared = config.TEST.DATA.PREPROCESS
    weights = Path(config.INFERENCE.MODEL_PATH).stem
    for method, (frames, labels) in TRAINED_ON.items():
        differs = (list(prepared.DATA_TYPE), prepared.LABEL_TYPE) != ([frames], labels)
        if config.TOOLBOX_MODE == "only_test" and weights.endswith(f"_{method}") and differs:
            yield (
                f"TEST.DATA feeds {'+'.join(prepared.DATA_TYPE)} frames and {prepared.LABEL_TYPE} labels to {weights}, "
                f"which was trained on {frames} frames and {labels} labels."
            )


def _derivative_as_wave(config: CfgNode) -> Iterator[str]:
    prepared = config.TEST.DATA.PREPROCESS
    differential = Path(config.INFERENCE.MODEL_PATH).stem.endswith("_DiffNormalized")
    if config.TOOLBOX_MODE == "only_test" and differential and prepared.LABEL_TYPE != "DiffNormalized":
        crop = "" if prepared.CROP_FACE.DO_CROP_FACE else " The face is not cropped, either."
        yield (
            f"TEST.DATA.PREPROCESS.LABEL_TYPE is {prepared.LABEL_TYPE!r}, but these weights predict differences: "
            f"they are not summed up before the heart rate is read.{crop}"
        )


def _unread_optimizer(config: CfgNode) -> Iterator[str]:
    if config.TOOLBOX_MODE == "train_and_test" and config.TRAIN.OPTIMIZER != train_section().OPTIMIZER:
        yield "TRAIN.OPTIMIZER has no effect: methods train with their published optimiser (as in rPPG-Toolbox)."


def _median_of_one(config: CfgNode) -> Iterator[str]:
    for section in used_sections(config):
        detection = config[section].DATA.PREPROCESS.CROP_FACE.DETECTION
        if detection.USE_MEDIAN_FACE_BOX and not detection.DO_DYNAMIC_DETECTION:
            key = f"{section}.DATA.PREPROCESS.CROP_FACE.DETECTION.USE_MEDIAN_FACE_BOX"
            yield f"{key} has no effect without DO_DYNAMIC_DETECTION: there is only one box."


def _judged_by_pseudo_labels(config: CfgNode) -> Iterator[str]:
    measured = config.MODEL.NAME == "BigSmall"  # is always tested against the measured pulse, as in rPPG-Toolbox
    if "TEST" in used_sections(config) and config.TEST.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL and not measured:
        yield (
            "TEST.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL is True: the preset toolbox judges by POS instead of measured "
            "pulses. Other presets use the measured ones where there are any."
        )


def _ranges_of_folds(config: CfgNode) -> Iterator[str]:
    if not config.SPLIT.KIND:
        return
    if config.TOOLBOX_MODE not in ("train_and_test", "train"):
        yield f"SPLIT.KIND has no effect in {config.TOOLBOX_MODE}."
        return
    train = config.TRAIN.DATA
    if (train.BEGIN, train.END) != (0, 1):
        yield f"SPLIT.KIND makes parts of the subjects from {train.BEGIN} to {train.END} only (TRAIN.DATA.BEGIN, END)."
    elif any((config[s].DATA.BEGIN, config[s].DATA.END) != (0, 1) for s in used_sections(config)):
        yield "SPLIT.KIND makes folds of TRAIN.DATA: BEGIN and END of TEST.DATA and VALID.DATA have no effect."


WARNINGS: list[Callable[[CfgNode], Iterator[str]]] = [
    _unused_range,
    _unreleased_weights,
    _weights_without_fsam,
    _other_representation,
    _derivative_as_wave,
    _unread_optimizer,
    _median_of_one,
    _judged_by_pseudo_labels,
    _ranges_of_folds,
]


# --- Derived names: users' caches, checkpoints and scripts carry them, so every letter stays ------------------------


def experiment_name(data: CfgNode, section: str) -> str:
    """The name rPPG-Toolbox gives a preprocessed data set; its spellings and its SizeH are kept."""
    prepared, crop = data.PREPROCESS, data.PREPROCESS.CROP_FACE
    parts = [
        data.DATASET,
        f"SizeW{prepared.RESIZE.W}",
        f"SizeH{prepared.RESIZE.H if section == 'TEST' else prepared.RESIZE.W}",
        f"ClipLength{prepared.CHUNK_LENGTH}",
        f"DataType{'_'.join(prepared.DATA_TYPE)}",
        f"DataAug{'_'.join(prepared.DATA_AUG)}",
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


OUTPUT_FOLDERS = {
    "train_and_test": ("TEST", "saved_test_outputs"),
    "only_test": ("TEST", "saved_test_outputs"),
    "unsupervised_method": ("UNSUPERVISED", "saved_outputs"),
}


def _derive(loaded: Loaded) -> None:
    config = loaded.config
    validates = not config.TEST.USE_LAST_EPOCH or config.VALID.MONITOR
    for section in SECTIONS:
        _derive_data(config[section].DATA, section, named=section != "VALID" or validates)
    _mark_motion(loaded)
    train = os.path.join(config.LOG.PATH, config.TRAIN.DATA.EXP_DATA_NAME)
    if not config.MODEL.MODEL_DIR.startswith(os.path.join(train, "")):
        config.MODEL.MODEL_DIR = os.path.join(train, config.MODEL.MODEL_DIR)
    section, folder = OUTPUT_FOLDERS.get(config.TOOLBOX_MODE, ("", ""))
    if section and not config[section].OUTPUT_SAVE_DIR:
        config[section].OUTPUT_SAVE_DIR = os.path.join(config.LOG.PATH, config[section].DATA.EXP_DATA_NAME, folder)


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


def _mark_motion(loaded: Loaded) -> None:
    """Put MA- before the data sets of a MODEL_FILE_NAME whose videos were motion-augmented."""
    config = loaded.config
    moved = [s for s in ("TRAIN", "VALID", "TEST") if "Motion" in config[s].DATA.PREPROCESS.DATA_AUG]
    parts = config.TRAIN.MODEL_FILE_NAME.split("_")
    if not moved or any(part.startswith("MA-") for part in parts):
        return
    if not 2 <= len(parts) <= 4 or not all(parts):
        if config.TOOLBOX_MODE != "train_and_test":
            return
        raise loaded.error(
            "TRAIN.MODEL_FILE_NAME",
            f"is {config.TRAIN.MODEL_FILE_NAME!r}, but with DATA_AUG: ['Motion'] it must be two to four words joined "
            "by '_', such as PURE_PURE_UBFC-rPPG_tscan.",
        )
    for section in moved:
        place = _name_place(parts, section, config.TEST.DATA.DATASET)
        if place is not None:
            parts[place] = f"MA-{parts[place]}"
    config.TRAIN.MODEL_FILE_NAME = "_".join(parts)


def _name_place(parts: list[str], section: str, test: str) -> int | None:
    """Which part of a MODEL_FILE_NAME names the section's data set; None: none does."""
    if len(parts) > 2 and parts[2] in (test, f"MA-{test}"):
        return ("TRAIN", "VALID", "TEST").index(section)
    place = {"TRAIN": 0, "TEST": 1}.get(section)
    return place if place is not None and place < len(parts) - 1 else None


# --- What a run is called -------------------------------------------------------------------------------------------

# How and where a run is computed and written; two runs that differ only in these give the same results.
NOT_THE_RUN = {
    "BASE", "DEVICE", "NUM_OF_GPU_TRAIN", "NUM_WORKERS", "PREPROCESS_WORKERS", "SHARD", "DASK", "OVERWRITE", "RESTART",
    "LOG", "CACHED_PATH", "CACHE_ROOT", "DO_PREPROCESS", "DATA_FORMAT", "MODEL_DIR", "OUTPUT_SAVE_DIR", "RESUME",
    "KEEP_CHECKPOINTS", "STATE_EVERY", "PLOT_LOSSES_AND_LR",
}  # fmt: skip
INPUT_PATHS = {"DATA_PATH", "MODEL_PATH", "WEIGHTS", "FOLD_PATH"}


def run_hash(config: CfgNode) -> str:
    """Eight hexadecimal digits that differ when anything differs that defines the run."""
    used = used_sections(config)
    kept = {key: value for key, value in config.items() if key not in SECTIONS or key in used}
    text = json.dumps(_essential(kept), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _essential(node: Any, key: str = "") -> Any:
    if isinstance(node, dict):
        return {name: _essential(value, name) for name, value in node.items() if name not in NOT_THE_RUN}
    if key in INPUT_PATHS and node:
        return os.path.realpath(node)
    return os.path.basename(node) if key == "FILE_LIST_PATH" else node


def run_name(config: CfgNode) -> str:
    """What a person calls the run: the model file, the tested weights, or the data set of the classical methods."""
    if config.TOOLBOX_MODE == "train_and_test":
        return config.TRAIN.MODEL_FILE_NAME or f"{config.MODEL.NAME}_{config.TRAIN.DATA.DATASET}"
    if config.TOOLBOX_MODE == "only_test":
        return f"{Path(config.INFERENCE.MODEL_PATH).stem}_{config.TEST.DATA.DATASET}"
    names = dict.fromkeys(config[section].DATA.DATASET for section in used_sections(config))
    return f"{config.TOOLBOX_MODE.partition('_')[0]}_{'_'.join(names)}"


def run_folder(config: CfgNode) -> Path:
    """<LOG.PATH>/runs/<name>-<hash>: everything a run writes beside rPPG-Toolbox's own files."""
    name = re.sub(r"[^\w.+-]+", "_", run_name(config))
    return Path(config.LOG.PATH) / "runs" / f"{name}-{run_hash(config)}"


def dump(config: CfgNode) -> str:
    """The resolved settings as YAML; loading that text gives the same settings again."""
    return config.dump()
