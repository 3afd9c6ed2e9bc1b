"""What is printed where no file was named: what was typed, not the settings of a file that nobody has seen."""

from pathlib import Path

import pytest

import main
from tests.test_cures import noise
from tests.video_tools import write_video


@pytest.fixture
def videos(tmp_path):
    """Two short own videos and a broken one."""
    for name in ("anna", "ben"):
        write_video(tmp_path / "videos" / f"{name}.avi", noise(60))
    (tmp_path / "videos" / "carl.avi").write_bytes(b"RIFF")
    return tmp_path / "videos"


def _lines(capsys, arguments):
    main.main(arguments)
    return "".join(capsys.readouterr()).splitlines()


def test_own_videos_print_what_was_typed_and_where_the_rest_is(videos, tmp_path, capsys, monkeypatch):
    """A cache that the environment names is no setting of the file either."""
    monkeypatch.setenv("RPPG_CACHE", str(tmp_path / "cache"))
    lines = _lines(capsys, ["--video", str(videos), f"LOG.PATH={tmp_path / 'runs'}"])
    assert Path(lines[0].removeprefix("Settings: ")).name == "own_videos.yaml"
    end = next(number for number, line in enumerate(lines) if line.startswith("All of them: "))
    keys = [line.strip().partition(" ")[0].rpartition(".")[2] for line in lines[1:end]]
    assert keys == ["PATH", "DATASET", "DATA_PATH", "CACHED_PATH"]
    assert not [line for line in lines if line.startswith("=> Merging")]
    whole = lines[end].removeprefix("All of them: ").partition(" (")[0]
    assert "LARGE_BOX_COEF: 0.7" in Path(whole).read_text()


def test_show_config_still_prints_all(videos, tmp_path, capsys):
    """Every file that was read and every key."""
    arguments = ["--video", str(videos), "--show_config", f"LOG.PATH={tmp_path / 'runs'}"]
    lines = _lines(capsys, [*arguments, f"UNSUPERVISED.DATA.CACHED_PATH={tmp_path / 'cache'}"])
    assert lines[0].startswith("=> Merging a config file from ") and "ALLOW_INCOMPLETE: False" in lines
