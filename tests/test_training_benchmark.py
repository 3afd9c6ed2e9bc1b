"""The benchmark of training speed: it runs the loop on a real cache, times updates, and survives what fails."""

import os
import time

import pytest

from tools.benchmark import training
from tools.benchmark.training import Asked, configuration, noise_clips, seconds, section

ASKED = Asked(device="cpu", batch=2, updates=1, skipped=1, workers=0)


def test_the_table_has_a_row_with_a_speed(monkeypatch):
    """PhysNet on small clips."""
    monkeypatch.setattr(training, "SMALL", {"Physnet": (16, 16)})
    text = section(ASKED, ["Physnet"], ["fp32"])
    row = text.splitlines()[-1].split(" | ")
    assert row[:3] == ["| Physnet", "16 x 16 x 16", "fp32"] and float(row[3]) > 0


def test_a_mode_that_fails_leaves_the_others(monkeypatch):
    """It says what failed."""

    def broken(*arguments):
        raise MemoryError("too large")

    monkeypatch.setattr(training, "measure", broken)
    assert section(ASKED, ["Physnet"], ["fp32", "bf16"]).count("failed: MemoryError") == 2


@pytest.mark.parametrize("mode", ["fp32", "bf16, compiled"])
def test_a_gpu_gets_published_clips_and_a_cpu_small_ones(tmp_path, mode):
    """And the modes are settings of the toolbox."""
    large = configuration("PhysFormer", Asked("cuda:0", 16, 30, 5, 4), training.MODES[mode], tmp_path)
    small = configuration("PhysFormer", ASKED, training.MODES[mode], tmp_path)
    assert (large.TRAIN.DATA.PREPROCESS.CHUNK_LENGTH, large.TRAIN.DATA.PREPROCESS.RESIZE.H) == (160, 128)
    assert (small.TRAIN.DATA.PREPROCESS.CHUNK_LENGTH, small.TRAIN.DATA.PREPROCESS.RESIZE.H) == (64, 32)
    assert large.TRAIN.COMPILE == ("compiled" in mode) and large.TRAIN.AMP == ("bf16" if "bf16" in mode else "")


def test_clips_come_from_a_cache_on_the_disk_in_the_asked_number(tmp_path):
    """More than one recording's worth, none left over."""
    config = configuration("Physnet", ASKED, [], tmp_path)
    clips = noise_clips(config, 9, tmp_path / "cache")
    assert len(clips) == 9 and clips[8]["video"].shape == (3, 64, 36, 36) and clips[8]["recording"] == "noise1"


def test_first_updates_do_not_count(tmp_path):
    """Their time is that of starting."""
    path = tmp_path / "history.csv"
    path.write_text("update,seconds\n0,9.0\n1,1.0\n2,3.0\n3,2.0\n")
    assert seconds(path, 1) == 2.0


def test_the_gpu_is_watched_by_one_process_that_ends_with_the_block(tmp_path, monkeypatch):
    """Every line it writes is a sample, but for those that are no number."""
    program, pid = tmp_path / "nvidia-smi", tmp_path / "pid"
    program.write_text(f"#!/bin/sh\necho $$ > {pid}\necho 7\necho '[N/A]'\nwhile echo 93; do sleep 0.05; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with training.watched() as samples:
        deadline = time.monotonic() + 20
        while len(samples) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert samples[:3] == [7, 93, 93]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_without_a_gpu_there_are_no_samples(tmp_path, monkeypatch):
    """And no error."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with training.watched() as samples:
        pass
    assert samples == []
