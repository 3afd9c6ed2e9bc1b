"""Pairs of clips: what is drawn, and from what; the fixed list; hearts; BioSemi files; keys of the configuration."""

import csv
from collections import Counter

import numpy as np
import pytest
import yaml

from config import load_config
from dataset import pair_lists, pairs
from dataset.clips.clips import Ask
from dataset.clips.hearts import heart_at, heart_of, heart_of_intervals
from dataset.files.biosemi import experiment
from dataset.perturbing import PERTURBATIONS
from settings.loaded import ConfigError
from tests.conftest import ROOT
from tests.pairing_tools import FS, PulsingClips

RATES = (55.0, 70.0, 85.0, 100.0)
SHIPPED = ROOT / "configs" / "pairing" / "train_model.yaml"


def listed(random, people=20, windows=3):
    """Clips of people as a list has them."""
    rates = np.repeat(random.uniform(45, 130, people), windows) + random.normal(0, 1, people * windows)
    return [pair_lists.Clip(f"r{k // windows}", f"p{k // windows}", k % windows, rate) for k, rate in enumerate(rates)]


def test_hearts_are_read_off_the_pulse_wave():
    """Every clip's rate within half a beat per minute; features are interval and its variation."""
    found = pairs.hearts_of(PulsingClips(RATES, seconds=8.0))
    assert len(found.windows) == 8 and not found.dropped
    for one in found.windows:
        assert one.heart.rate == pytest.approx(RATES[int(one.person[1:])], abs=0.5)
        assert one.heart.variation < 0.03


def test_clips_without_beats_are_dropped_and_counted():
    """A heart that stands still is named with the reason."""
    clips = PulsingClips(RATES, seconds=8.0)
    clips.waves[1][:] = 0.0
    found = pairs.hearts_of(clips)
    assert len(found.windows) == 6 and [row[0] for row in found.dropped] == ["r1", "r1"]
    assert "2 clips of 8 not used" in found.note and "beats" in found.note


def test_a_pair_depends_on_seed_epoch_and_index_alone():
    """The same again in any order and in another process; others in the next epoch."""
    first, second = (pairs.PairDataset(PulsingClips(RATES, seconds=8.0), 3, 16, speed=0.3) for _ in range(2))
    whole = [first.draw(2, index) for index in range(16)]
    assert [second.draw(2, index) for index in reversed(range(16))] == whole[::-1]
    assert [first.draw(3, index) for index in range(16)] != whole
    one, other = first[Ask(5, 2)], second[Ask(5, 2)]
    assert all(np.array_equal(one[key], other[key]) for key in ("video", "other_video", "heart", "other_heart"))


def test_people_are_drawn_uniformly_and_in_random_order():
    """Also where one of them has many more windows."""
    clips = PulsingClips(RATES, seconds=8.0)
    data = pairs.PairDataset(clips, 0, 2000)
    data.people[0] = data.people[0] * 50
    drawn = [[data.hearts.windows[side[0]].person for side in data.draw(0, index)] for index in range(2000)]
    assert all(first != second for first, second in drawn)
    for place in (0, 1):
        counts = Counter(pair[place] for pair in drawn)
        assert max(counts.values()) < 1.2 * min(counts.values())


def test_a_faster_film_is_a_faster_heart():
    """The rate of the frames that are read is that of the heart that is told."""
    data = pairs.PairDataset(PulsingClips((60.0, 90.0), seconds=8.0, amplitude=60.0), 0, 12, speed=1.0)
    told = []
    for index in range(12):
        sample = data[Ask(index, 0)]
        wave = sample["video"].float().mean(dim=(0, 2, 3)).numpy()
        wave = (wave - wave.mean()) * np.hanning(len(wave))
        spectrum = np.abs(np.fft.rfft(wave, 8192))
        rate = 60.0 * FS * spectrum[40:].argmax() / 8192 + 60.0 * FS * 40 / 8192
        told.append(60_000.0 / float(sample["heart"][0]))
        assert rate == pytest.approx(told[-1], abs=4.0)
    assert max(told) - min(told) > 35


def test_the_speed_of_a_clip_hides_whose_heart_it_is():
    """The rates shown have nothing to do with the people's own; without another speed they are those."""
    clips, own = PulsingClips((60.0, 70.0, 80.0, 90.0, 100.0), seconds=5.0, size=2), {}
    for speed in (0.0, 0.5):
        data = pairs.PairDataset(clips, 0, 600, speed=speed)
        sides = [side for index in range(600) for side in data.draw(0, index)]
        shown = np.array([side[3].rate for side in sides])
        true = np.array([data.hearts.windows[side[0]].heart.rate for side in sides])
        own[speed] = np.corrcoef(true, shown)[0, 1]
    assert own[0.0] > 0.99 and abs(own[0.5]) < 0.1 and np.ptp(shown) > 20


def test_people_whose_rates_no_speed_brings_together_are_named():
    """Where slow hearts cannot be shown as fast as the slowest that fast ones can: there is no common rate."""
    assert pairs.PairDataset(PulsingClips((50.0, 120.0), seconds=5.0, size=2), 0, 4, speed=0.2).shown is None
    low, high = pairs.PairDataset(PulsingClips((50.0, 120.0), seconds=5.0, size=2), 0, 4, speed=1.0).shown
    assert low == pytest.approx(60.0, abs=0.5) and high == pytest.approx(100.0, abs=0.5)


def test_the_list_is_stratified_and_of_two_people_each():
    """As many of every difference as there are, up to even; the same list from the same seed."""
    clips = listed(np.random.default_rng(1))
    people, rates = [one.person for one in clips], np.array([one.rate for one in clips])
    found = pair_lists.evaluation_pairs(people, rates, 200, seed=4)
    assert len(found) == 200 and all(people[a] != people[b] for a, b in found)
    assert len({tuple(sorted(pair)) for pair in found.tolist()}) == 200
    counts = np.histogram(np.abs(rates[found[:, 0]] - rates[found[:, 1]]), bins=[0, 5, 10, 20, 1e9])[0]
    assert counts.tolist() == [50, 50, 50, 50]
    assert np.array_equal(found, pair_lists.evaluation_pairs(people, rates, 200, seed=4))
    far = pair_lists.evaluation_pairs(people, rates, 200, min_delta=12.0)
    assert (np.abs(rates[far[:, 0]] - rates[far[:, 1]]) >= 12.0).all()


def test_a_list_is_written_and_read_again(tmp_path):
    """With recordings, clips and rates; once it is there it is obeyed, also with fewer pairs."""
    clips, path = listed(np.random.default_rng(2), people=6), tmp_path / "test_pairs.csv"
    made = pair_lists.pairs_of(clips, str(path), 40, 0.0, 1)
    assert np.array_equal(pair_lists.pairs_of(clips, str(path), 7, 0.0, 9), made)
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == len(made) and {"recording1", "clip2", "hr1", "person_id2"} <= set(rows[0])
    path.write_text("\n".join(path.read_text().splitlines()[:4]) + "\n")
    assert len(pair_lists.pairs_of(clips, str(path), 40, 0.0, 1)) == 3


@pytest.mark.parametrize(
    ("row", "words"), [("r0_0,r9_0", "no clip 'r9_0'"), ("r0_0,r0_1", "both clips are of one person, p0")]
)
def test_a_list_of_other_data_is_refused(tmp_path, row, words):
    """With its line, and what to do."""
    path = tmp_path / "pairs.csv"
    path.write_text(f"sample_id1,sample_id2\n{row}\n")
    with pytest.raises(ValueError, match=f"line 2: .*{words}.*Delete it"):
        pair_lists.read_pairs(path, listed(np.random.default_rng(0), people=4))


def test_a_list_with_other_rates_is_refused(tmp_path):
    """The same names in other data: its strata would be wrong."""
    path = tmp_path / "pairs.csv"
    pair_lists.pairs_of(listed(np.random.default_rng(3), people=4), str(path), 10, 0.0, 0)
    with pytest.raises(ValueError, match="bpm there, here"):
        pair_lists.read_pairs(path, listed(np.random.default_rng(4), people=4))


def test_one_person_makes_no_pair_and_equal_rates_none_of_a_difference():
    """In one sentence each."""
    with pytest.raises(ValueError, match=r"need two people .*there are 1 \(p0\)"):
        pairs.PairDataset(PulsingClips((60.0,), seconds=8.0), 0, 4)
    with pytest.raises(ValueError, match="no two people's rates differ by 30 bpm"):
        pairs.PairDataset(PulsingClips((60.0, 62.0), seconds=8.0), 0, 4, min_delta=30.0)


def test_memory_does_not_grow_with_the_pairs():
    """A hundred million pairs an epoch are the same object as ten."""
    import pickle

    clips = PulsingClips((60.0, 90.0), seconds=8.0)
    sizes = [len(pickle.dumps(pairs.PairDataset(clips, 0, count))) for count in (10, 100_000_000)]
    assert abs(sizes[1] - sizes[0]) < 10


def test_hearts_that_cannot_be_are_refused():
    """A rate nobody has, one beat, words in place of intervals."""
    with pytest.raises(ValueError, match="give one from 35 to 200"):
        heart_at(250)
    with pytest.raises(ValueError, match="1 intervals between beats: 2 are needed"):
        heart_of_intervals([800.0])
    with pytest.raises(ValueError, match="read as milliseconds"):
        heart_of_intervals([0.8, 0.81, 0.79])
    assert heart_of_intervals([800.0, 1000.0]).rate == pytest.approx(66.667, abs=0.01)
    assert heart_of([0.0, 1.0]).problem == "2 beats, 3 are needed"


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_perturbed_clips_lack_what_their_name_says(name):
    """Shape and type stay."""
    import torch

    video = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 10, 8, 8)).astype(np.uint8))
    found = PERTURBATIONS[name](video, np.random.default_rng(1))
    assert found.shape == video.shape and found.dtype == video.dtype and not torch.equal(found, video)
    checks = {
        "static": lambda: (found == found[:, :1]).all(),
        "grey": lambda: (found == found[:1]).all(),
        "inverted": lambda: torch.equal(found.flip(2), video),
        "masked": lambda: torch.equal(found[:, :, 0], video[:, :, 0]) and (found[:, :, 2:6, 2:6] == 128).all(),
        "shuffled_time": lambda: torch.equal(found.sort(dim=1).values, video.sort(dim=1).values),
    }
    assert checks[name]()


# --- BioSemi --------------------------------------------------------------------------------------------------------


def test_an_experiment_lies_between_its_triggers(tmp_path):
    """The electrodes from trigger 2 to trigger 8, 24 bits, negative values among them."""
    wave = np.rint(200_000 * np.sin(np.arange(2048 * 6) / 50))
    path = write_bdf(tmp_path / "a.bdf", wave, triggers={2048: 2, 2048 * 5: 8})
    found = experiment(path)
    assert set(found) == {"EXG1", "EXG2", "EXG3"} and found["EXG3"].fs == 2048
    np.testing.assert_allclose(found["EXG3"].values, wave[2048 : 2048 * 5] / 32.0, atol=0.6)


@pytest.mark.parametrize(
    ("triggers", "words"),
    [({}, "no trigger 2.*none"), ({2048: 2}, "no trigger 8 behind"), ({100: 8, 300: 2}, "behind")],
)
def test_a_recording_without_triggers_is_refused(tmp_path, triggers, words):
    """By name, with what is missing."""
    path = write_bdf(tmp_path / "a.bdf", np.zeros(2048 * 3), triggers)
    with pytest.raises(ValueError, match=words):
        experiment(path)


def test_an_edf_file_is_no_bdf_file(tmp_path):
    """And the other way round it is said, too."""
    path = tmp_path / "a.bdf"
    path.write_bytes(b"0       " + b" " * 600)
    with pytest.raises(ValueError, match="is no BDF file"):
        experiment(path)


def write_bdf(path, wave, triggers, fs=2048):
    """A recording of EXG1 to EXG3 and Status in records of a second."""
    from dataset.synthetic.layouts.paired_ecg import write_bdf as write

    status = np.zeros(len(wave))
    for sample, code in triggers.items():
        status[sample : sample + 20] = code
    write(path, {"EXG1": 0 * wave, "EXG2": 0 * wave, "EXG3": wave / 32.0, "Status": status}, fs)
    return path


# --- Configuration --------------------------------------------------------------------------------------------------


def test_the_groups_stand_for_keys_of_the_toolbox():
    """And a key of the toolbox on the command line wins over them."""
    config = load_config(SHIPPED, ["params.lr=5e-4", "data.duration=8", "base.architecture=PairNetProj", "SEED=7"])
    assert config.TRAIN.LR == 5e-4 and config.MODEL.NAME == "PairNetProj" and config.SEED == 7
    assert config.TEST.DATA.PREPROCESS.CHUNK_LENGTH == 240 and config.TOOLBOX_MODE == "train_and_test"
    assert config.SPLIT.RATIOS == pytest.approx([0.6, 0.2, 0.2])
    real = load_config(SHIPPED, ["data.source=from_rppg", "base.dataset=PURE"])
    assert real.TRAIN.DATA.DATASET == "PURE" and "SYNTHETIC" not in real.TRAIN.DATA


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("params.learning_rate=1", r"unknown key params.learning_rate"),
        ("data.sorce=synthetic", r"Did you mean 'source'"),
        ("params.epochs=many", r"params.epochs is 'many', but must be like 10"),
        ("data.source=rppg", r"Did you mean 'from_rppg'"),
        ("data.training_set_size=1.5", "between 0 and 1"),
    ],
)
def test_a_wrong_key_or_value_is_named(override, words):
    """With the nearest one where there is one."""
    with pytest.raises(ConfigError, match=words):
        load_config(SHIPPED, [override])


def test_the_library_reads_any_data_set_where_nothing_else_is_said(tmp_path):
    """The shipped file says synthetic; without that word it is from_rppg."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"base": {"dataset": "UBFC-rPPG"}}))
    assert load_config(path).TRAIN.DATA.DATASET == "UBFC-rPPG"
