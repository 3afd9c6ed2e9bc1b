"""A remedy cures: the input gives the error, what its sentence names is done, and the same run works.

Values are taken from the sentence where it has them. Each run is a whole one, through the command line.
"""

import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

import main
from dataset.synthetic.layouts import write_layout
from tests.test_remedies import ADVISED
from tests.video_tools import write_video

SMALL = {"PRESET": "easy", "SUBJECTS": 3, "SECONDS": 6.0, "WIDTH": 320, "HEIGHT": 240, "CODEC": "mjpg"}
DATA = "UNSUPERVISED.DATA"
CLASSICAL = """
TOOLBOX_MODE: unsupervised_method
PREPROCESS_WORKERS: 1
UNSUPERVISED:
  METHOD: [POS]
  METRICS: [MAE]
  DATA: {DATASET: UBFC-rPPG, PREPROCESS: {RESIZE: {W: 24, H: 24}}}
INFERENCE: {PRESET: exact}
"""
PART = """
  DATA:
    DATASET: UBFC-rPPG
    BEGIN: %s
    END: %s
    PREPROCESS:
      DATA_TYPE: [DiffNormalized]
      LABEL_TYPE: DiffNormalized
      CHUNK_LENGTH: 64
      CROP_FACE: {DO_CROP_FACE: False}
      RESIZE: {W: 16, H: 16}
"""
NEURAL = (
    "TOOLBOX_MODE: train_and_test\nDEVICE: cpu\nNUM_WORKERS: 0\nPREPROCESS_WORKERS: 1\nMODEL: {NAME: Physnet}\n"
    f"TRAIN:\n  EPOCHS: 1\n  MODEL_FILE_NAME: tiny{PART % (0, 0.4)}VALID:{PART % (0.4, 0.7)}TEST:\n  METRICS: [MAE]"
    f"{PART % (0.7, 1)}"
)


class Place:
    """A data set, a cache and a folder for results that belong to one test."""

    def __init__(self, root: Path, data: str = "UBFC-rPPG"):
        """`root` holds all three."""
        self.root, self.data, self.cache, self.runs = root, root / data, root / "cache", root / "runs"

    def arguments(self, neural: bool = False) -> list[str]:
        """The command line of a run on this place."""
        file = self.root / "run.yaml"
        file.write_text(NEURAL if neural else CLASSICAL)
        sections = ("TRAIN", "VALID", "TEST") if neural else ("UNSUPERVISED",)
        own = [f"{s}.DATA.{key}" for s in sections for key in (f"DATA_PATH={self.data}", f"CACHED_PATH={self.cache}")]
        return ["--config_file", str(file), *own, f"LOG.PATH={self.runs}"]


@dataclass
class Case:
    """What is spoilt, what the sentence has to say, and what is then done.

    spoil  changes the place and returns what is added to the command line
    said   a pattern; where nothing else is told by `cure`, its groups are key and value of the remedy
    wrong  what is on the command line before and not after
    codes  how the run may end after it
    cure   what is added to the command line after what the match (its groups) and the place say
    """

    said: str
    spoil: Callable[[Place], list[str] | None]
    cure: Callable[[Place, re.Match], list[str] | None] = lambda place, match: [f"{match[1]}={match[2]}"]
    neural: bool = False
    wrong: tuple[str, ...] = ()
    codes: tuple[int, ...] = (0,)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Place:
    """Three rendered people."""
    place = Place(tmp_path_factory.mktemp("whole"))
    write_layout("UBFC-rPPG", place.data, SMALL)
    return place


@pytest.fixture
def place(whole, tmp_path) -> Place:
    """A copy of them."""
    shutil.copytree(whole.data, tmp_path / "UBFC-rPPG")
    return Place(tmp_path)


def ran(place: Place, arguments: list[str], capsys: pytest.CaptureFixture) -> tuple[int, str]:
    """Exit code and all that was printed, or stands in the doctor's page, on one line."""
    try:
        code = main.main(arguments)
    except SystemExit as end:  # argparse
        code = int(end.code or 0)
    tables = sorted(place.runs.rglob("doctor.html"), key=lambda file: file.stat().st_mtime_ns)
    said = " ".join("".join([*capsys.readouterr(), *(file.read_text() for file in tables[-1:])]).split())
    return code, said.rpartition("(--show_config prints it)")[2]


# --- What is spoilt --------------------------------------------------------------------------------------------------


def deeper(place: Place) -> None:
    """One folder too deep."""
    place.data.rename(place.root / "moved")
    place.data.mkdir()
    (place.root / "moved").rename(place.data / "data")


def higher(place: Place) -> list[str]:
    """DATA_PATH is the folder of one subject."""
    return [f"{DATA}.DATA_PATH={place.data / 'subject1'}"]


def packed(place: Place) -> None:
    """A subject in its archive."""
    shutil.make_archive(str(place.data / "subject2"), "zip", place.data, "subject2")
    shutil.rmtree(place.data / "subject2")


def unpack(place: Place, match: re.Match) -> None:
    """What the sentence names, there."""
    with zipfile.ZipFile(place.data / match[1]) as archive:
        archive.extractall(place.data)


def renamed(name: str) -> Callable[[Place], None]:
    """Subject 2 under another name."""
    return lambda place: (place.data / "subject2").rename(place.data / name) and None


def rename_back(place: Place, match: re.Match) -> None:
    """The name that the sentence gives, as those that are read."""
    (place.data / match[1]).rename(place.data / re.sub(r"\d+", "2", match[2]))


def noise(count: int = 90, size: int = 64) -> list[np.ndarray]:
    """Pictures without a face, whose light beats."""
    rng = np.random.default_rng(0)
    beats = 4 * np.sin(2 * np.pi * 1.2 * np.arange(count) / 30)
    return [np.uint8(rng.normal(120 + b * np.array([0.3, 1, 0.5]), 3, (size, size, 3)).clip(0, 255)) for b in beats]


def without_face(place: Place) -> None:
    """The video of one subject."""
    write_video(place.data / "subject2" / "vid.avi", noise(180))


def broken(place: Place) -> None:
    """The video of one subject."""
    (place.data / "subject2" / "vid.avi").write_bytes(b"RIFF")


def without_times(place: Place) -> list[str]:
    """Labels of two lines."""
    for file in place.data.rglob("ground_truth.txt"):
        file.write_text("\n".join(file.read_text().splitlines()[:2]))
    return [f"{DATA}.LABEL_ALIGN=timestamps"]


def bottom_up(place: Place) -> list[str]:
    """Raw AVI as Windows writes it, to be read by OpenCV."""
    for file in place.data.rglob("vid.avi"):
        write_video(file, frames_of(file), "raw")
    return [f"{DATA}.PREPROCESS.DECODER=opencv"]


def frames_of(file: Path) -> list[np.ndarray]:
    """All frames of a video (H, W, 3) uint8 RGB."""
    with av.open(str(file)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def own_pictures(place: Place) -> list[str]:
    """A folder of images: nothing says their rate."""
    video = place.data / "subject1" / "vid.avi"
    place.data = place.root / "own"
    (place.data / "me").mkdir(parents=True)
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            frame.to_image().save(place.data / "me" / f"{number:04}.png")
    return [f"{DATA}.DATASET=Folder", f"{DATA}.DATA_PATH={place.data}"]


def milliseconds(place: Place) -> None:
    """The clock of every label."""
    for file in place.data.rglob("ground_truth.txt"):
        *lines, times = file.read_text().splitlines()
        file.write_text("\n".join([*lines, " ".join(str(1000 * float(time)) for time in times.split())]))


def divide(place: Place, match: re.Match) -> None:
    """By what the sentence says."""
    for file in place.data.rglob("ground_truth.txt"):
        *lines, times = file.read_text().splitlines()
        file.write_text("\n".join([*lines, " ".join(str(float(t) / float(match[1])) for t in times.split())]))


def changed_entry(place: Place) -> list[str]:
    """An entry that says that it was made with other settings."""
    main.main([*place.arguments(), "TOOLBOX_MODE=preprocess"])
    for file in place.cache.rglob("subject2/entry.json"):
        file.write_text(file.read_text().replace('"W": 24', '"W": 25').replace('"format": 1', '"format": 9'))
    return []


def delete_folder(place: Place, match: re.Match) -> None:
    """What the sentence names."""
    shutil.rmtree(match[1])


def a_file(place: Place) -> list[str]:
    """In place of the folder for results."""
    (place.root / "taken").write_text("")
    return [f"LOG.PATH={place.root / 'taken'}"]


def moved_aside(place: Place) -> list[str]:
    """From the third second on a face is elsewhere; the doctor looks at it."""
    video = place.data / "subject2" / "vid.avi"
    frames = frames_of(video)
    write_video(video, [*frames[:60], *(np.roll(frame, 110, axis=1) for frame in frames[60:])])
    return ["--doctor", f"{DATA}.BEGIN=0.4", f"{DATA}.END=0.7"]


def moving_picture(place: Place) -> list[str]:
    """An own video as GIF beside others."""
    frames = frames_of(place.data / "subject1" / "vid.avi")
    place.data = place.root / "own"
    place.data.mkdir()
    write_video(place.data / "one.avi", frames)
    pictures = [Image.fromarray(frame).quantize(64) for frame in frames]
    pictures[0].save(place.data / "two.gif", save_all=True, append_images=pictures[1:], duration=30)
    return [f"{DATA}.DATASET=Folder", f"{DATA}.DATA_PATH={place.data}", "ALLOW_INCOMPLETE=True"]


def convert(place: Place, match: re.Match) -> None:
    """As the ffmpeg of the sentence would: the GIF becomes an MP4."""
    write_video((place.data / match[1]).with_suffix(".mp4"), frames_of(place.data / match[1]), "h264")
    (place.data / match[1]).unlink()


def broken_listing(place: Place) -> list[str]:
    """The list of the recordings that the cache keeps."""
    main.main([*place.arguments(), "TOOLBOX_MODE=preprocess"])
    for file in place.cache.rglob("recordings.json"):
        file.write_text("{}")
    return []


def taken_folder(place: Place) -> list[str]:
    """Somebody's files lie where rendered people should."""
    return ["--synthesize", f"{DATA}.SYNTHETIC.SECONDS=6", f"{DATA}.SYNTHETIC.SUBJECTS=1"]


def settings(*changes: str) -> Callable[[Place], list[str]]:
    """Nothing but these."""
    return lambda place: list(changes)


def trained(*changes: str) -> Callable[[Place], list[str]]:
    """Weights of a network that was trained here, to be tested."""

    def spoil(place: Place) -> list[str]:
        assert main.main(place.arguments(neural=True)) == 0
        (weights,) = place.runs.rglob("tiny_Epoch0.pth")
        shutil.copy(weights, place.root / "weights.pth")
        shutil.copy(weights.with_suffix(".json"), place.root / "weights.json")
        own = [f"INFERENCE.MODEL_PATH={place.root / 'weights.pth'}", "TEST.DATA.BEGIN=0.0"]
        return ["TOOLBOX_MODE=only_test", *own, *changes]

    return spoil


def of(*changes: str) -> Callable[[Place, re.Match], list[str]]:
    """What is done where a sentence names a key, and no value for it."""
    return lambda place, match: list(changes)


PATH = r"set (DATA_PATH) to '([^']*)'"
CURES = {
    "one folder too deep": Case(PATH, deeper),
    "one folder too high": Case(PATH, higher),
    "another data set": Case(r"set (DATASET) to ([\w-]+)\b", settings(f"{DATA}.DATASET=PURE")),
    "left packed": Case(r"archives left packed: (\S+)\. Unpack them there", packed, unpack),
    "another name": Case(
        r"almost recordings.*?: (subjekt2) .*Rename those that are recordings \(those that are read: (\w+)",
        renamed("subjekt2"),
        rename_back,
    ),
    "only a copy": Case(
        r"named like copies: (subject2 \(1\))\. Rename one that has no original",
        renamed("subject2 (1)"),
        lambda place, match: (place.data / match[1]).rename(place.data / "subject2") and None,
    ),
    "no face: whole frames where there is none": Case(r"set (CROP_FACE\.NO_FACE): (\w+)", without_face),
    "no face: whole frames": Case(r"(DO_CROP_FACE): (False) to use whole frames", without_face),
    "a broken video, the others": Case(r"set (ALLOW_INCOMPLETE): (True)", broken),
    "a broken video, left out": Case(
        r'leave them out on purpose \((\S+=True) "(\S+=\[\'subject2\'\])"',
        broken,
        lambda place, match: [match[1], match[2]],
    ),
    "labels without times": Case(
        r"LABEL_ALIGN is 'timestamps', but .* has no times\. Use '\w+' or '(index)'",
        without_times,
        lambda place, match: [f"{DATA}.LABEL_ALIGN={match[1]}"],
    ),
    "a video for the other decoder": Case(r"(DECODER): (pyav)", bottom_up),
    "images without a rate": Case(r"Set FS of the data set, as in (FS)=(30)\.", own_pictures),
    "milliseconds": Case(r"look like milliseconds: divide them by (\d+)", milliseconds, divide),
    "an entry of another version": Case(
        r"'([^']*subject2)' has format 9.*delete the folder", changed_entry, delete_folder
    ),
    "nowhere to write": Case(
        r"Set (LOG\.PATH|it) to a folder you may write to", a_file, lambda place, match: [f"LOG.PATH={place.runs}"]
    ),
    "too short for the band": Case(
        r"too few for the band up to 20 Hz \((INFERENCE\.HR_BAND)\)",
        settings("INFERENCE.HR_BAND=[0.6, 20]"),
        of("INFERENCE.HR_BAND=[0.6, 3.3]"),
    ),
    "no method": Case(
        r"(UNSUPERVISED\.METHOD) is empty: name at least one",
        settings("UNSUPERVISED.METHOD=[]"),
        of("UNSUPERVISED.METHOD=[POS]"),
    ),
    "a word for another": Case(
        r"Did you mean '(\w+)'",
        settings(),
        lambda place, match: [f"{DATA}.{match[1]}.RESIZE.W=16"],
        wrong=(f"{DATA}.PREPROCES.RESIZE.W=16",),
    ),
    "an estimator without old numbers": Case(
        r"Set (INFERENCE\.PRESET): (exact)",
        settings("INFERENCE.EVALUATION_METHOD=path", "INFERENCE.PRESET=toolbox"),
    ),
    "labels made of the video": Case(
        r"(USE_PSUEDO_PPG_LABEL) is True, .*Set it to (False)", settings(f"{DATA}.PREPROCESS.USE_PSUEDO_PPG_LABEL=True")
    ),
    "a face that is never lost": Case(
        r"Set (NO_FACE): (search)",
        settings(
            "CROP_FACE.NO_FACE=full_frame",
            "CROP_FACE.LOST=drop",
            "CROP_FACE.TRACK=flow",
            "DETECTION.DO_DYNAMIC_DETECTION=True",
        ),
    ),
    "following without looking": Case(
        r"Set (DETECTION\.DO_DYNAMIC_DETECTION): (True)", settings("CROP_FACE.TRACK=flow")
    ),
    "a face elsewhere": Case(
        r"subject2.*follow it: (CROP_FACE\.DETECTION\.DO_DYNAMIC_DETECTION): (True)", moved_aside, codes=(0, 1)
    ),
    "a picture that moves": Case(
        r"in formats that are not read: (two\.gif)\. Convert recordings, such as by `ffmpeg", moving_picture, convert
    ),
    "a broken listing": Case(
        r"'([^']*recordings\.json)' is not a listing.* Delete it; it is made again",
        broken_listing,
        lambda place, match: Path(match[1]).unlink(),
    ),
    "somebody's folder": Case(
        r"--synthesize: \S+ holds files of yours; .*Name another folder",
        taken_folder,
        lambda place, match: [f"{DATA}.DATA_PATH={place.root / 'new'}"],
    ),
    "a norm of small batches": Case(
        r"with (MODEL\.NORM): (group)", settings("TRAIN.ACCUMULATION_STEPS=2"), neural=True
    ),
    "no worker": Case(
        r"PREPROCESS_WORKERS.*?(1) or more",
        settings("PREPROCESS_WORKERS=0"),
        lambda place, match: [f"PREPROCESS_WORKERS={match[1]}"],
    ),
    "a key of several sections": Case(
        r"may be (TRAIN\.DATA\.BEGIN) or .*Write one of them",
        settings(),
        lambda place, match: [f"{match[1]}=0.0"],
        neural=True,
        wrong=("BEGIN=0.0",),
    ),
    "a range without people": Case(
        r"BEGIN .* is empty\. Widen", settings(f"{DATA}.BEGIN=0.9", f"{DATA}.END=0.95"), of(f"{DATA}.BEGIN=0.0")
    ),
    "tested on what was learnt": Case(
        r"Give TRAIN\.DATA and TEST\.DATA disjoint (BEGIN) and (END)",
        settings("TEST.DATA.BEGIN=0.0"),
        of("TEST.DATA.BEGIN=0.7"),
        neural=True,
    ),
    "chosen on the test set": Case(
        r"set (TEST\.USE_LAST_EPOCH): (True)",
        settings("TEST.USE_LAST_EPOCH=False", "VALID.DATA.BEGIN=0.7", "VALID.DATA.END=1.0"),
        neural=True,
    ),
    "clips longer than videos": Case(
        r"Use a smaller (CHUNK_LENGTH)",
        settings("TRAIN.DATA.PREPROCESS.CHUNK_LENGTH=512"),
        of("TRAIN.DATA.PREPROCESS.CHUNK_LENGTH=64"),
        neural=True,
    ),
    "no weights": Case(
        r"Set (INFERENCE\.MODEL_PATH).* or train first \(TOOLBOX_MODE: (train_and_test)",
        settings("TOOLBOX_MODE=only_test", "INFERENCE.MODEL_PATH=no.pth"),
        lambda place, match: [f"TOOLBOX_MODE={match[2]}"],
        neural=True,
    ),
    "weights of another network": Case(r"set (MODEL\.NAME): (\w+)", trained("MODEL.NAME=EfficientPhys"), neural=True),
    "more folds than people": Case(
        r"Lower (SPLIT\.FOLDS)",
        settings("SPLIT.KIND=kfold", "SPLIT.FOLDS=9", "TRAIN.DATA.END=1.0"),
        of("SPLIT.FOLDS=3"),
        neural=True,
    ),
}


SLOW = {  # they take longer than a second or two each
    "tested on what was learnt", "more folds than people", "images without a rate", "a face that is never lost",
    "following without looking", "weights of another network", "a picture that moves", "a face elsewhere",
    "clips longer than videos", "a norm of small batches", "a video for the other decoder", "chosen on the test set",
    "another name", "no weights", "a key of several sections",
}  # fmt: skip


@pytest.mark.parametrize("kind", [pytest.param(k, marks=[pytest.mark.slow] * (k in SLOW)) for k in CURES])
def test_the_remedy_cures(kind, place, capsys):
    """The sentence comes before it and not after it, and the run ends well."""
    case = CURES[kind]
    if kind == "a video for the other decoder" and tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 13):
        pytest.skip(f"OpenCV {cv2.__version__} reads such a file itself: there is no error to cure")
    first = [*place.arguments(case.neural), *(case.spoil(place) or [])]
    capsys.readouterr()
    _, said = ran(place, [*first, *case.wrong], capsys)
    match = re.search(case.said, said)
    assert match, said[-1500:]
    cured = case.cure(place, match)
    code, after = ran(place, [*first, *(cured or [])], capsys)
    assert code in case.codes and not re.search(case.said, after), after[-1500:]


NOT_RUN = {  # settings that a sentence advises, and no case above takes
    "DO_CHUNK=True": "of a file for tools.export that reads whole recordings",
    "DO_PREPROCESS=False": "which is the default",
    "DO_PREPROCESS=True": "of an entry that vanishes during a run",
    "SYNTHETIC.CODEC=ffv1": "of rendered videos of 4 GB",
    "USE_MEDIAN_FACE_BOX=False": "which is the default; named beside another that is taken",
    "VALID.MONITOR=False": "which is the default; named beside another that is taken",
    "FACES=one": "which is the default",
    "TRAIN.EMA=0": "which is the default, of codes that are averages by themselves",
    "VALID.MONITOR=True": "of a rate that falls by what is seen in validation; it is tested with that schedule",
    "TRAIN.ACCUMULATION_STEPS=1": "which is the default, of losses that take minutes here",
}


def test_every_setting_that_a_sentence_advises_is_taken_here():
    """Or it stands above why not; and nothing stands there that is taken, or advised no more."""
    patterns = " ".join(case.said.replace("\\", "") for case in CURES.values())
    missing = {setting for setting in ADVISED if setting.partition("=")[0].rpartition(".")[2] not in patterns}
    assert missing == set(NOT_RUN)
