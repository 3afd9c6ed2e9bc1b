"""Shards of a job array: every recording is made once, by whichever job and into whichever cache."""

import multiprocessing
import shutil

import pytest

import config as settings
from dataset import run as preprocessing
from dataset.data_loader.base import Recording
from dataset.prepare.listing import share
from dataset.store.cache import Cache, Status
from tests import test_prepare as toys
from tools.kill_preprocessing import content

config, raw, READ, ready = toys.config, toys.raw, toys.READ, toys.ready  # fixtures and helpers of a toy data set
NAMES = [f"{subject}_{take}" for subject in ("s1", "s2", "s3", "s10") for take in ("T1", "T2")]


def only_unsupervised(config, cache, part=""):
    """Mode preprocess for one section, whose cache lies in `cache`."""
    config.TOOLBOX_MODE, config.SHARD = "preprocess", part
    for section in ("TRAIN", "VALID", "TEST"):
        config[section].DATA.DATASET = ""
    data = config.UNSUPERVISED.DATA
    data.CACHE_ROOT, data.CACHED_PATH = str(cache), str(cache / "exp")
    return config


@pytest.mark.parametrize("count", [1, 3, 8, 20])
def test_shards_share_the_recordings_out(count):
    """Every recording belongs to exactly one, sizes differ by one, and the order of what is chosen does not matter."""
    listing = [Recording(name, name, None) for name in NAMES]
    shares = [share(listing[::-1], listing, (number, count)) for number in range(1, count + 1)]
    own = [{recording.id for recording in mine} for mine, _ in shares]
    assert set().union(*own) == set(NAMES) and sum(map(len, own)) == len(NAMES)
    assert max(map(len, own)) - min(map(len, own)) <= 1
    assert all(len(mine) + len(others) == len(NAMES) for mine, others in shares)


def test_a_recording_belongs_to_one_shard_whatever_section_uses_it():
    """A section that begins elsewhere in the listing agrees with the others."""
    listing = [Recording(name, name, None) for name in NAMES]
    whole, _ = share(listing, listing, (1, 3))
    part, _ = share(listing[1:6], listing, (1, 3))
    assert part == [recording for recording in listing[1:6] if recording in whole]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "3", "a/b", "1/2/3", "-1/3", "1 / 3", "1/2 "])
def test_a_wrong_shard_is_refused_before_anything_is_read(text):
    """With the key, the value and an example."""
    with pytest.raises(settings.ConfigError, match="SHARD is .*must be i/n with i from 1 to n, such as 3/8|SHARD"):
        settings.load_config(None, [f"SHARD={text}"])


def test_a_shard_does_its_share_and_says_what_others_have_to_do(config, tmp_path, capsys):
    """Exit code and summary are those of its own share; the last one finds all done."""
    assert preprocessing.run(only_unsupervised(config, tmp_path / "cache", "2/3")) == 0
    said = capsys.readouterr().out
    assert "shard 2/3" in said and "UNSUPERVISED.DATA Toy: 3 of 3 ready" in said
    assert "5 recordings of other shards: 5 still to do" in said
    assert READ == ["s1_T2", "s3_T1", "s10_T2"]
    for part in ("1/3", "3/3"):
        assert preprocessing.run(only_unsupervised(config, tmp_path / "cache", part)) == 0
    assert "of other shards: all done" in capsys.readouterr().out and sorted(READ) == sorted(NAMES)


def test_a_broken_recording_is_the_matter_of_its_own_shard(config, raw, tmp_path, capsys):
    """Its shard exits with 3 and names it; another one exits with 0 and counts it."""
    (raw / "s1_T2.npy").write_bytes(b"no array")
    assert preprocessing.run(only_unsupervised(config, tmp_path / "cache", "2/3")) == 3
    said = capsys.readouterr().out
    assert "2 of 3 ready" in said and "FAILED s1_T2: " in said
    assert preprocessing.run(only_unsupervised(config, tmp_path / "cache", "1/3")) == 0
    said = capsys.readouterr().out
    assert "3 of 3 ready" in said and "5 recordings of other shards: 2 still to do, 1 failed" in said


def test_more_shards_than_recordings_are_no_error(config, tmp_path, capsys):
    """The jobs of an array that find nothing to do end well."""
    assert preprocessing.run(only_unsupervised(config, tmp_path / "cache", "9/20")) == 0
    assert "0 of 0 ready" in capsys.readouterr().out and not READ


def test_caches_that_were_filled_apart_are_merged_by_copying(config, tmp_path, capsys):
    """The next run without a shard reads no video and leaves what one run alone would have left, manifest included."""
    for number in (1, 2):
        preprocessing.run(only_unsupervised(config, tmp_path / f"cache{number}", f"{number}/2"))
    shutil.copytree(tmp_path / "cache2", tmp_path / "cache1", dirs_exist_ok=True)
    READ.clear()
    assert preprocessing.run(only_unsupervised(config, tmp_path / "cache1")) == 0 and not READ
    assert "8 of 8 ready" in capsys.readouterr().out
    assert preprocessing.run(only_unsupervised(config, tmp_path / "whole")) == 0
    assert content(tmp_path / "cache1") == content(tmp_path / "whole")


def test_shards_that_write_one_cache_at_once_leave_what_one_run_leaves(config, tmp_path):
    """Four processes on one cache: the same bytes as one process, and a manifest without a gap."""
    context = multiprocessing.get_context("fork")
    jobs = [
        context.Process(
            target=preprocessing.run, args=(only_unsupervised(config.clone(), tmp_path / "cache", f"{n}/4"),)
        )
        for n in (1, 2, 3, 4)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0, 0, 0, 0]
    preprocessing.run(only_unsupervised(config, tmp_path / "whole"))
    assert content(tmp_path / "cache") == content(tmp_path / "whole")


def test_the_last_manifest_knows_what_others_did_meanwhile(tmp_path, monkeypatch):
    """A recording that another process finishes between the look at the states and the rename is not lost."""
    cache = Cache(tmp_path / "cache", {})
    cache.freeze([Recording("one", "one", None), Recording("two", "two", None)])
    look = Cache._manifest

    def look_then_be_late(self):
        table = look(self)
        cache.set_status("two", Status("failed", "by another process"))
        return table

    monkeypatch.setattr(Cache, "_manifest", look_then_be_late)
    assert "by another process" in cache.write_manifest().read_text()


def test_a_manifest_that_is_up_to_date_is_not_written(tmp_path):
    """So a cache that may only be read can be used."""
    cache = Cache(tmp_path / "cache", {})
    cache.freeze([Recording("one", "one", None)])
    before = cache.write_manifest().stat()
    assert cache.write_manifest().stat() == before


def test_a_run_completes_the_account_that_a_kill_cut_off(config, capsys):
    """All entries are there, but neither the last status file nor the manifest."""
    cache = ready(config).cache
    whole = content(cache.root)
    (cache.root / ".status" / "s2_T1.json").unlink()
    (cache.root / "manifest.csv").unlink()
    ready(config)
    assert content(cache.root) == whole


def test_the_flag_preprocesses_in_every_mode(monkeypatch, tmp_path):
    """--shard with a training file does not train; --dask reaches the settings."""
    import main

    seen = []
    monkeypatch.setattr(preprocessing, "run", lambda given: seen.append(given) or 0)
    place = [f"{section}.DATA.DATA_PATH={tmp_path}" for section in ("TRAIN", "VALID", "TEST")]
    file = str(settings.ROOT / "configs/train_configs/PURE_PURE_UBFC-rPPG_PHYSNET_BASIC.yaml")
    command = ["--config_file", file, "--shard", "3/8", "--dask", "tcp://node1:8786", *place, f"LOG.PATH={tmp_path}"]
    assert main.main(command) == 0
    assert (seen[0].SHARD, seen[0].DASK, seen[0].TOOLBOX_MODE) == ("3/8", "tcp://node1:8786", "train_and_test")
