"""An answer for each face of a video."""

import json
import re

import numpy as np
import pytest

import main
from dataset.data_loader.folder import FolderLoader
from dataset.face.crop import FaceCrop, FaceFinder
from dataset.face.several import faces_in
from dataset.files.frames import as_frame
from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from pulsescope import measure
from tests.video_tools import write_video

LEFT, RIGHT = 56.0, 96.0  # bpm of two people side by side
STILL = {"PRESET": "easy", "SECONDS": 12.0, "WIDTH": 200, "HEIGHT": 180, "FACE_SIZE": 0.5, "SKIN_TONES": (1, 2)}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A video of two people, and labels beside it."""
    people = [Session(resolve({**STILL, "HEART_RATE": (rate, rate)}), n) for n, rate in enumerate((LEFT, RIGHT), 1)]
    path = tmp_path_factory.mktemp("two") / "two.mp4"
    write_video(path, [np.hstack(both) for both in zip(*(one.frames() for one in people), strict=True)], "h264")
    (path.parent / "two.csv").write_text("time,ppg\n" + "".join(f"{t / 30},{np.sin(t)}\n" for t in range(360)))
    return path


@pytest.mark.slow
def test_each_of_two_people_has_an_own_rate(two):
    """From left to right, by the number in the name."""
    found = measure(two, faces="all")
    assert list(found) == ["two_face1", "two_face2"]
    assert [found[name].heart_rate for name in found] == pytest.approx([LEFT, RIGHT], abs=3)


def test_the_command_says_a_line_and_keeps_an_answer_for_each_face(two, tmp_path, capsys):
    """On screen and in vitals.json; the page shows where each of them is."""
    code = main.main(["--video", str(two), "--faces", "all", f"LOG.PATH={tmp_path}", f"--cached_path={tmp_path}"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("two_face") and "bpm" in line]
    assert code == 0 and len(lines) == 2
    text = next(tmp_path.rglob("vitals.json")).read_text()
    assert all(name in json.dumps(json.loads(text)) for name in ("two_face1", "two_face2"))
    page = next(tmp_path.rglob("vitals.html")).read_text()
    first_frames = set(re.findall(r"alt='first frame[^']*' src='(data:[^']+)'", page))
    assert len(first_frames) == 2, "the region is drawn around another face in each"


def test_without_the_option_one_face_is_measured_and_the_labels_count(two):
    """As before."""
    loader = FolderLoader({"FACES": "one"})
    (only,) = loader.recordings(two.parent)
    assert only.id == "two" and set(loader.read_wave(only)) == {"ppg"}


def test_labels_beside_several_people_are_not_read(two):
    """Nothing says whose they are."""
    loader = FolderLoader({"FACES": "all", "DETECTOR": "HC"})
    assert [loader.read_wave(one) for one in loader.recordings(two.parent)] == [{}, {}]


def test_a_video_of_one_person_keeps_its_name(tmp_path):
    """Whatever is asked for."""
    person = Session(resolve({**STILL, "SECONDS": 2.0}), 1)
    write_video(tmp_path / "one.mp4", list(person.frames()), "h264")
    assert [one.id for one in FolderLoader({"FACES": "all", "DETECTOR": "HC"}).recordings(tmp_path)] == ["one"]


def test_whole_pictures_of_all_faces_are_refused(two):
    """There would be twice the same."""
    with pytest.raises(ValueError, match="DO_CROP_FACE: True"):
        FolderLoader({"FACES": "all", "DETECTOR": ""}).recordings(two.parent)


def test_the_option_belongs_to_videos(capsys):
    """Usage, exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main.main(["--faces", "all"])
    assert ended.value.code == 2 and "--video" in capsys.readouterr().err


class Script:
    """Finds what `boxes` says, look after look; the last one again and again."""

    def __init__(self, *boxes):
        """One list of boxes for each look."""
        self.boxes = list(boxes)

    def detect(self, rgb):
        """The next of them."""
        return np.array(self.boxes.pop(0) if len(self.boxes) > 1 else self.boxes[0], dtype=float).reshape(-1, 4)


A, B, INSIDE = (10, 10, 40, 40), (80, 12, 44, 44), (15, 20, 10, 10)


def frames(count=150):
    """Empty pictures at 30 per second."""
    return (as_frame(np.zeros((100, 150, 3), np.uint8)) for _ in range(count))


def test_what_is_seen_once_is_nobody():
    """A cascade finds faces in curtains now and then."""
    assert faces_in(frames(), Script([A], [A, B], [A]), 30.0) == [A]


def test_a_face_inside_a_face_is_no_person():
    """The same face in two sizes."""
    assert faces_in(frames(), Script([INSIDE, B, A]), 30.0) == [A, B]


@pytest.mark.parametrize("follow", [{}, {"track": "flow"}, {"smooth": 0.5}])
@pytest.mark.parametrize("own", [A, B])
def test_a_face_that_is_lost_is_not_replaced_by_another_one(own, follow):
    """However large the other one is; its share of the looks is its own."""
    other = B if own == A else A
    crop = FaceCrop(size=(8, 8), large_box=False, dynamic=True, frequency=10, **follow)
    finder = FaceFinder(crop, Script([A, B], [A, B], [other]), 30.0, own)
    boxes = [box for _, box, _ in finder.faces(lambda: frames(90))]
    assert all(np.hypot(box[0] - own[0], box[1] - own[1]) < 8 for box in boxes)
    assert finder.flags()["face_coverage"] < 0.5 and "several_faces" not in finder.flags()
