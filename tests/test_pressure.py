"""Beats of an arterial line and its faults, on lines that we made and on records, read as by wfdb."""

import numpy as np
import pytest

from dataset.files.wfdb import read_record
from dataset.pressure import abnormal, clamped, find_beats, plausible, refusal, steepness
from dataset.signal_quality import clipped_share, longest_flat
from tests.conftest import reference
from tests.signal_miniatures import arterial, write_wfdb

FS = 125.0
RECORDS = ("ecg_ppg_abp/v102s/v102s", "ecg_ppg_abp/mixedsignals")


def on_native_grid(signal, count):
    """The samples (count,) of a signal at their places, NaN where none was recorded."""
    own = signal.fs or 1 / np.median(np.diff(signal.times))
    places = np.arange(len(signal.values)) if signal.times is None else np.rint(signal.times * own).astype(int)
    whole = np.full(count, np.nan)
    whole[places] = signal.values
    return whole


@pytest.mark.parametrize("fs", [62.5, 125.0, 500.0])
@pytest.mark.parametrize(("sbp", "dbp", "rate"), [(125, 75, 72), (90, 50, 48), (210, 120, 150)])
def test_systolic_and_diastolic_are_those_of_the_line(fs, sbp, dbp, rate):
    """At any rate, pressure and pulse; the dicrotic wave is no beat."""
    beats = find_beats(arterial(fs, 30, rate, sbp, dbp), fs)
    assert len(beats) == pytest.approx(30 * rate / 60, abs=3)
    np.testing.assert_allclose(beats.sbp, sbp, atol=2)
    np.testing.assert_allclose(beats.dbp, dbp, atol=3)  # the foot is a cusp, which samples may miss
    np.testing.assert_allclose(60 / beats.periods, rate, rtol=0.03)
    assert ((beats.mbp > beats.dbp) & (beats.mbp < beats.sbp)).all()


def test_there_is_no_beat_in_noise_in_a_gap_or_in_nothing():
    """An empty result, never an error and never a number."""
    line = arterial(FS, 30)
    line[1250:2500] = np.nan
    beats = find_beats(line, FS)
    assert len(beats) and not ((beats.feet + beats.periods * FS > 1250) & (beats.feet < 2500)).any()
    for nothing in (
        np.full(1250, np.nan),
        np.zeros(0),
        np.full(1250, 90.0),
        90 + np.random.default_rng(0).normal(size=1250),
    ):
        assert len(find_beats(nothing, FS)) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda line: line, ""),
        (lambda line: np.convolve(np.pad(line, 50, mode="wrap"), np.ones(50) / 50, mode="same")[50:-50], "a damped"),
        (lambda line: np.where(np.arange(1250) // 100 == 4, 90.0, line), "a flat"),
        (lambda line: line.clip(None, 118), "a clipped"),
        (lambda line: np.where(np.arange(1250) // 30 == 9, 330.0 + np.arange(1250) % 5, line), "a flush"),
        (lambda line: 110 + 0.25 * (line - 100), "a clamped"),
        (lambda line: np.where(np.arange(1250) == 0, line, np.roll(line, 0)) / 7.5, "fewer than 3 beats"),
        (lambda line: np.where(np.arange(1250) // 50 == 9, np.nan, line), "a gap"),
    ],
)
def test_a_stretch_that_is_no_label_is_refused_with_its_reason(change, reason):
    """Each fault by its own name; a whole line by none."""
    said, _ = refusal(change(arterial(FS, 10)), FS)
    assert said.startswith(reason) and bool(said) == bool(reason)


def test_beats_that_no_artery_makes_are_abnormal():
    """A step of the pressure, a pause, a small pulse."""
    line = arterial(FS, 20)
    assert not abnormal(find_beats(line, FS), line, FS).any()
    jump = line + 30 * (np.arange(len(line)) > 1250)
    assert abnormal(find_beats(jump, FS), jump, FS).sum() in (1, 2)
    small = 90 + (line - 75) * 0.35
    assert abnormal(find_beats(small, FS), small, FS).all()
    assert steepness(find_beats(line, FS), line, FS) > 8
    sine = 100 + 25 * np.sin(2 * np.pi * 1.2 * np.arange(2500) / FS)
    assert steepness(find_beats(sine, FS), sine, FS) == pytest.approx(np.pi, rel=0.05)


@pytest.mark.parametrize(
    ("sbp", "dbp", "small"),
    [(210, 165, True), (210, 155, False), (160, 135, True), (160, 128, False), (120, 106, True), (120, 104, False),
     (90, 81, True), (90, 79, False)],
)  # fmt: skip
def test_thresholds_of_a_clamped_line(sbp, dbp, small):
    """By the level of the pressure, just inside and just outside."""
    assert clamped(sbp, dbp) is small


def test_limits_of_a_label():
    """SBP 50 to 250, DBP 30 to 160, pulse above 10."""
    assert plausible(120, 80) and plausible(250, 160) and plausible(50, 30)
    assert not plausible(251, 80) and not plausible(49, 30) and not plausible(120, 29) and not plausible(90, 80)


def test_flat_and_clipped_are_told_from_whole_waves():
    """A run of equal samples, and a share at the ends of the scale."""
    wave = np.sin(np.arange(1000) / 7.0)
    assert longest_flat(wave, 100) == 0 and clipped_share(wave) == 0
    assert longest_flat(np.concatenate([wave, np.full(101, 0.3)]), 100) == 1.0
    assert clipped_share(wave.clip(-1, 0.6)) == pytest.approx(0.3, abs=0.03)
    assert longest_flat(np.full(300, np.nan), 100) == 0 and clipped_share(np.zeros(5)) == 0


# --- The records at hand --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDS)
def test_records_are_read_sample_by_sample_as_wfdb_does(name):
    """Every sample, every missing one, at its place."""
    wfdb = pytest.importorskip("wfdb")
    path = reference(f"data/{name}.hea")
    ours, theirs = read_record(path), wfdb.rdrecord(str(path.with_suffix("")), smooth_frames=False)
    signals = theirs.e_p_signal if theirs.e_p_signal is not None else list(theirs.p_signal.T)
    assert list(ours) == theirs.sig_name
    for title, expected in zip(theirs.sig_name, signals, strict=True):
        np.testing.assert_array_equal(on_native_grid(ours[title], len(expected)), np.asarray(expected))


def test_v102s_is_read_without_wfdb():
    """Format 212 in three segments: checked against samples unpacked by the definition of the format, byte by byte."""
    path = reference("data/ecg_ppg_abp/v102s/v102s.hea")
    raw = (path.parent / "v102s.dat").read_bytes()
    found = read_record(path)
    ecg = on_native_grid(found["II"], 225000)
    for sample in (0, 1, 5, 74999):
        place = 4 * sample  # II is the first of four signals; two samples lie in three bytes
        low, both = raw[place // 2 * 3], raw[place // 2 * 3 + 1]
        value = low | (both & 15) << 8
        value -= 4096 if value >= 2048 else 0
        assert ecg[sample] == pytest.approx(value / 2281) or (value == -2048 and np.isnan(ecg[sample]))


def test_pressures_of_mixedsignals_are_the_extremes_of_its_beats():
    """Within 2 mmHg of the maximum and minimum from one R peak to the next, for every beat of a clean line."""
    pytest.importorskip("wfdb")
    found = read_record(reference("data/ecg_ppg_abp/mixedsignals.hea"))
    fs = 124.945
    line = on_native_grid(found["ABP"], 28800)
    beats = find_beats(line, fs)
    assert len(beats) > 370
    tops = beats.tops
    checked = 0
    for number in range(1, len(beats) - 1):
        between = line[tops[number - 1] : tops[number] + 1]
        nearby = line[tops[number] - round(0.15 * fs) : tops[number] + round(0.15 * fs)]
        assert abs(beats.dbp[number] - np.nanmin(between)) <= 2 and abs(beats.sbp[number] - np.nanmax(nearby)) <= 2
        checked += 1
    assert checked > 360


# --- What headers leave open ----------------------------------------------------------------------------------------


def test_a_signal_that_begins_in_a_later_segment_keeps_its_place_in_time(tmp_path):
    """Otherwise the PPG would move against the ECG by the length of the first segment."""
    one, two = np.arange(500) % 50 / 10, np.arange(500) % 40 / 10
    write_wfdb(tmp_path, "a", [("II", "mV", 200, one)])
    write_wfdb(tmp_path, "b", [("II", "mV", 200, one), ("PLETH", "NU", 200, two)])
    (tmp_path / "r.hea").write_text("r/2 2 250 1000\na 500\nb 500\n")
    found = read_record(tmp_path / "r.hea")
    assert found["II"].fs == 250 and found["PLETH"].times[0] == pytest.approx(2.0)


@pytest.mark.parametrize("gain", ["0", "0/mV", ""])
def test_a_signal_without_gain_is_not_in_millivolts(tmp_path, gain):
    """Its unit says so, and its values are those of the converter."""
    line = f"r.dat 16 {gain} 12 0 0 0 0 II" if gain else "r.dat 16"
    np.array([0, 200, -200], "<i2").tofile(tmp_path / "r.dat")
    (tmp_path / "r.hea").write_text(f"r 1 250 3\n{line}\n")
    (signal,) = read_record(tmp_path / "r.hea").values()
    assert signal.unit == "uncalibrated" and signal.values.tolist() == [0, 200, -200]


def test_a_skewed_signal_is_set_right(tmp_path):
    """One that comes two frames late moves forward; what then lacks at its end is missing."""
    np.array([1, 9, 2, 8, 3, 7, 4, 6], "<i2").tofile(tmp_path / "r.dat")
    (tmp_path / "r.hea").write_text("r 2 250 4\nr.dat 16 1/mV 12 0 0 0 0 II\nr.dat 16:2 1/mV 12 0 0 0 0 V\n")
    found = read_record(tmp_path / "r.hea")
    assert found["II"].values.tolist() == [1, 2, 3, 4]
    assert found["V"].values.tolist() == [7, 6] and found["V"].times.tolist() == [0, 1 / 250]


def test_names_in_a_comment_may_be_of_any_letters(tmp_path):
    """A header with a comment in Latin-1 is a header."""
    write_wfdb(tmp_path, "r", [("II", "mV", 200, np.arange(10.0))])
    with (tmp_path / "r.hea").open("ab") as file:
        file.write(b"# Jos\xe9\n")
    assert list(read_record(tmp_path / "r.hea")) == ["II"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "r.dat").write_bytes((folder / "r.dat").read_bytes()[:-3]), "cut off"),
        (
            lambda folder: (folder / "r.hea").write_text((folder / "r.hea").read_text().replace("\n", " ", 1)),
            "promises 2",
        ),
    ],
)
def test_damaged_records_are_named(tmp_path, change, words):
    """A short file of samples; the first line run together with the second."""
    write_wfdb(tmp_path, "r", [("II", "mV", 200, np.arange(10.0)), ("V", "mV", 200, np.arange(10.0))])
    change(tmp_path)
    with pytest.raises(ValueError, match=words):
        read_record(tmp_path / "r.hea")
