"""Grey and infrared pictures are named before colours are compared: by classical methods, networks and the doctor.

Every data set whose pictures lie in files of their own is written with grey ones.
"""

import zipfile
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
import pytest
import scipy.io

import main
from dataset.clips.clips import ClipDataset, ClipOptions
from dataset.data_loader.folder import IMAGES, VIDEOS
from dataset.doctor.picture import check_colour
from dataset.face.crop import FaceCrop
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache
from registry import DATASETS
from tests.damage import make_good
from tests.damage_run import arguments
from tests.test_loader_contract import NAMES, loader
from tests.video_tools import write_video

SEEN = [name for name in NAMES if DATASETS[name].has_video]
CODECS = {".avi": "ffv1", ".mkv": "ffv1", ".mp4": "h264", ".mov": "h264"}
OWN = {"MR-NIRP": ["UNSUPERVISED.DATA.CAMERA=NIR"]}  # has a grey camera beside, and refuses grey for RGB
SAID = "grey or infrared, all three channels are equal: "


def without_colour(frame: np.ndarray) -> np.ndarray:
    """`frame` (H, W, 3) with its mean level in all channels."""
    return np.repeat(frame.mean(axis=2, keepdims=True).round().astype(frame.dtype), 3, axis=2)


def without_colours_inside(path: Path) -> None:
    """The pictures of an HDF5 file: those of MATLAB have their channels first; others have none."""
    with h5py.File(path, "r+") as file:
        if "Xsub" in file:
            file["Xsub"][...] = file["Xsub"][...].mean(axis=0, keepdims=True)
        for number, frame in enumerate(file.get("rgb", ())):
            file["rgb"][number] = without_colour(frame)


def make_grey(path: Path) -> None:
    """Rewrite a file of pictures without colours; others stay."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                if name.endswith(".jpg"):
                    picture = without_colour(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR))
                    content = cv2.imencode(".jpg", picture)[1].tobytes()
                archive.writestr(name, content)
    elif path.suffix.lower() in IMAGES:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        cv2.imwrite(str(path), without_colour(picture))
    elif path.suffix.lower() in VIDEOS:
        with av.open(str(path)) as container:
            rate = float(container.streams.video[0].average_rate)
            frames = [without_colour(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
        write_video(path, frames, CODECS[path.suffix.lower()], rate)
    elif h5py.is_hdf5(path):
        without_colours_inside(path)
    elif path.suffix == ".mat":
        content = {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("__")}
        if "video" in content:
            content["video"] = np.repeat(content["video"].mean(axis=3, keepdims=True), 3, axis=3)
            scipy.io.savemat(path, content)


@pytest.mark.parametrize("name", SEEN)
def test_grey_recordings_are_named_in_every_data_set(name, tmp_path, capsys):
    """In a classical run, by id, before a rate is looked for."""
    root = tmp_path / "raw"
    make_good(name, root, 1)
    for path in sorted(root.rglob("*")):
        if path.is_file():
            make_grey(path)
    run = [
        "TOOLBOX_MODE=unsupervised_method",
        "UNSUPERVISED.METHOD=['POS']",
        "ALLOW_INCOMPLETE=True",
        *OWN.get(name, []),
    ]
    main.main(arguments(name, root, tmp_path / "cache", 1, *run))
    said = "".join(capsys.readouterr())
    first = loader(name).recordings(root)[0].id
    assert SAID in said and first in said.partition(SAID)[2].partition("(")[0], said[-1500:]


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    """A cache of a grey own video and a coloured one."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    frames = [rng.integers(60, 180, (24, 24, 3), dtype=np.uint8) for _ in range(40)]
    write_video(folder / "raw" / "coloured.avi", frames, "ffv1_rgb")
    write_video(folder / "raw" / "infrared.avi", map(without_colour, frames), "ffv1_rgb")
    reader = loader("Folder")
    cache = Cache(folder / "cache", {})
    preprocess_all(reader, reader.recordings(folder / "raw"), FaceCrop(size=(8, 8), do_crop=False), cache, 1)
    return cache


def test_networks_are_told(entries):
    """Clips of faces name the recording; of signals alone nothing is said."""
    clips = ClipDataset(entries.entry, ["coloured", "infrared"], ClipOptions(length=20, labels=()))
    assert any(note.startswith(f"{SAID}infrared (1 of 2)") for note in clips.notes), clips.notes
    assert not ClipDataset(entries.entry, ["coloured"], ClipOptions(length=20, labels=())).notes


def test_the_doctor_finds_it_bad(entries):
    """And says what can be done."""
    assert check_colour(entries.entry("coloured").trace).grade == "ok"
    found = check_colour(entries.entry("infrared").trace)
    assert found.grade == "bad" and "Grey or infrared" in found.text and "GREEN" in found.mend
