"""The command line: `--video` and `--synthesize` put data in the place of those of the file."""

import sys
import types
from pathlib import Path

import pytest
import yaml

import main
from dataset.own_videos import READER
from tests.main_tools import TESTING, classical_file, modes_that_note

x = pytest.fixture(classical_file)
ran = pytest.fixture(modes_that_note)


def test_video_runs_the_classical_methods_on_it(tmp_path, ran):
    """Without a configuration."""
    video = tmp_path / "me.mp4"
    video.touch()
    assert main.main(["--video", str(video)]) == 0
    data = ran[0].UNSUPERVISED.DATA
    assert (data.DATASET, data.DATA_PATH) == (READER, str(video))


def test_video_replaces_the_data_of_a_test(tmp_path, ran):
    """All of the video, whatever the file splits."""
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(TESTING))
    assert main.main(["--video", str(tmp_path), "--config_file", str(path)]) == 0
    data = ran[0].TEST.DATA
    assert (data.DATASET, data.DATA_PATH, data.BEGIN, data.FS) == (READER, str(tmp_path), 0.0, 0)


def made(folder: Path, *names: str) -> list[str]:
    """Empty files of these names in `folder`; their paths."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return [str(path) for path in paths]


@pytest.mark.parametrize("again", [[], ["--video"]])
def test_several_videos_and_folders_are_one_run(tmp_path, ran, again):
    """As a shell makes them of *.mp4, with settings behind, or one --video each; one named twice is one."""
    a, b, _ = made(tmp_path, "1/a.mp4", "2/b.mp4", "3/c/d.mp4")
    videos = [a, *again, b, str(tmp_path / "3"), b]
    assert main.main(["--video", *videos, "RESIZE.W=36"]) == 0
    data = ran[0].UNSUPERVISED.DATA
    assert (data.DATA_PATH, data.VIDEOS, data.PREPROCESS.RESIZE.W) == (str(tmp_path), ["1/a.mp4", "2/b.mp4", "3"], 36)
    found = main.DATASETS["Folder"]({"VIDEOS": data.VIDEOS}).recordings(tmp_path)
    assert [recording.id for recording in found] == ["1_a", "2_b", "3_c_d"]


def test_settings_alone_are_no_videos(ran, capsys):
    """A glob that matched nothing leaves --video with the settings behind it."""
    with pytest.raises(SystemExit):
        main.main(["--video", "SEED=3"])
    assert "name at least one file or folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["#1.mp4", "on", "[x]", "null", "None", "~", "a b: c.mp4", "'q'", "{x}", "1e3", "a=b.mp4"]
)
def test_a_video_may_have_any_name(tmp_path, ran, monkeypatch, name):
    """It is no YAML."""
    monkeypatch.chdir(tmp_path)
    made(tmp_path, name, "other.mp4")
    assert main.main(["--video", name]) == 0
    assert ran[0].UNSUPERVISED.DATA.DATA_PATH == name
    assert main.main(["--video", name, "other.mp4"]) == 0
    assert ran[1].UNSUPERVISED.DATA.VIDEOS == [name, "other.mp4"]


def test_what_is_written_after_video_wins_over_it(tmp_path, ran):
    """Its FS, its list, its part of the recordings."""
    (video,) = made(tmp_path, "me.mp4")
    listed = tmp_path / "list.csv"
    assert main.main(["--video", video, "FS=25", f"FILE_LIST_PATH={listed}", "END=0.5"]) == 0
    data = ran[0].UNSUPERVISED.DATA
    assert (data.FS, data.FILE_LIST_PATH, data.END) == (25, str(listed), 0.5)


def test_video_cannot_train_and_must_exist(x, ran, capsys):
    """Both said before anything starts."""
    assert main.main(["--video", "nothing.mp4"]) == 1
    assert "--video nothing.mp4: no such file or folder." in capsys.readouterr().err
    train = ["TOOLBOX_MODE=train_and_test", "TRAIN.DATA.DATASET=PURE", "TEST.DATA.DATASET=PURE", "MODEL.NAME=Tscan"]
    assert main.main(["--video", str(x), "--config_file", str(x), *train]) == 1
    assert "it cannot train" in capsys.readouterr().err


@pytest.fixture
def written(monkeypatch) -> list:
    """What the writer of layouts was asked for."""
    calls = []
    module = types.ModuleType("dataset.synthetic.layouts")
    module.write_layout = lambda name, root, settings: calls.append((name, Path(root), settings))
    monkeypatch.setitem(sys.modules, "dataset.synthetic.layouts", module)
    return calls


def test_synthesize_fills_missing_folders(x, ran, written, tmp_path):
    """And completes what an interrupted call left."""
    new = tmp_path / "new"
    arguments = ["--synthesize", "--config_file", str(x), f"UNSUPERVISED.DATA.DATA_PATH={new}"]
    for _ in range(2):
        assert main.main([*arguments, "UNSUPERVISED.DATA.SYNTHETIC.SUBJECTS=2"]) == 0
        (new / "01-01").mkdir(exist_ok=True)
    assert [call[:2] for call in written] == [("PURE", new)] * 2
    assert written[0][2] == {"PRESET": "standard", "SUBJECTS": 2}


def test_synthesize_never_mixes_files(x, ran, written, tmp_path, capsys):
    """Neither with somebody's data nor with those of other settings."""
    new, full = tmp_path / "new", tmp_path / "full"
    (full / "01-01").mkdir(parents=True)
    arguments = ["--synthesize", "--config_file", str(x)]
    assert main.main([*arguments, f"UNSUPERVISED.DATA.DATA_PATH={full}"]) == 1
    assert "holds files of yours" in capsys.readouterr().err
    assert main.main([*arguments, f"UNSUPERVISED.DATA.DATA_PATH={new}"]) == 0
    seed = "UNSUPERVISED.DATA.SYNTHETIC.SEED=7"
    assert main.main([*arguments, f"UNSUPERVISED.DATA.DATA_PATH={new}", seed]) == 1
    assert "was made with other settings" in capsys.readouterr().err
    assert len(written) == 1
    assert main.main(arguments) == 1
    assert "UNSUPERVISED.DATA.DATA_PATH=FOLDER" in capsys.readouterr().err


def test_synthesize_leaves_a_data_set_that_renders_itself_alone(ran, written):
    """The demo needs no flag, and the flag does no harm."""
    assert main.main(["--synthesize"]) == 0
    assert written == [] and len(ran) == 2
