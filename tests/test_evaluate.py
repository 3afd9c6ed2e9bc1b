"""Windows, rows, tables: rPPG-Toolbox's numbers, real time, excluded windows, intervals, baselines."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from evaluation import console
from evaluation.evaluate import aligned_waves, filtered, rows, windows
from evaluation.presets import PRESETS, preset, presets
from evaluation.results import RecordingResult, reference_wave, uniform
from evaluation.summary import constant_mean, evaluate, per_subject, summary, table
from tests.conftest import reference
from tests.evaluation_data import METRICS, beat, recording, row, signal

EXACT, TOOLBOX = PRESETS["exact"], PRESETS["toolbox"]


def test_presets_are_looked_up_and_checked():
    """Names and bands are checked; exact is always evaluated, and only once."""
    assert [one.name for one in presets("toolbox")] == ["exact", "toolbox"]
    assert [one.name for one in presets("exact", [0.7, 3.0])] == ["exact"]
    assert preset("neurips2023").band == (0.75, 2.5) and preset("toolbox", [0.7, 3]).band == (0.7, 3.0)
    with pytest.raises(ValueError, match="INFERENCE.PRESET is 'toolbx'. Did you mean 'toolbox'"):
        preset("toolbx")
    with pytest.raises(ValueError, match="INFERENCE.PRESET is 'zzz'. Known"):
        preset("zzz")
    for band in ([3.0], [3.0, 0.6], [0.0, 2.0]):
        with pytest.raises(ValueError, match="INFERENCE.HR_BAND"):
            preset("toolbox", band)


def test_windows_cover_the_recording():
    """None or 0: one window; otherwise windows from 0, the last one shorter; never longer than the recording."""
    assert windows(100, 30, None) == windows(100, 30, 0) == [(0, 100)]
    assert windows(100, 10, 4) == [(0, 40), (40, 40), (80, 40)]
    assert windows(100, 30, 10) == [(0, 100)] and windows(0, 30, None) == []
    assert windows(90, 30, None, whole=100) == [(0, 100)]


@pytest.mark.parametrize("samples", [8, 9, 10])
def test_a_tail_of_nine_samples_is_ignored_and_said(samples, capsys):
    """Windows the filter cannot take are printed in rPPG-Toolbox's words; ten samples are evaluated."""
    found = rows([recording(seconds=10 + samples / 30)], TOOLBOX, "FFT", 10.0)
    said = f"Window frame size of {samples} is smaller than minimum pad length of 9. Window ignored!"
    assert len(found) == (2 if samples == 10 else 1)
    assert (said in capsys.readouterr().out) == (samples < 10)


def test_a_recording_without_any_window_is_still_in_the_table():
    """A recording of five frames is listed with the reason."""
    found = rows([recording(seconds=5 / 30)], TOOLBOX)
    assert [one.note for one in found] == ["5 samples are too few for a rate"] and not found[0].valid


def test_settings_that_cannot_work_are_named():
    """Unknown methods and label types and a rate of 0 are refused."""
    with pytest.raises(ValueError, match="INFERENCE.EVALUATION_METHOD is 'fft'"):
        rows([], TOOLBOX, "fft")
    with pytest.raises(ValueError, match="r1: LABEL_TYPE is 'raw'"):
        recording(label_type="raw")
    with pytest.raises(ValueError, match="r1: FS is 0"):
        recording(fs=0.0, seconds=1.0, prediction=np.zeros(3), label=None, reference=None)


def test_the_exact_rate_comes_from_the_reference_inside_the_window():
    """The native reference decides in real time, whatever the label says; both rates are free of bin rounding."""
    found = rows([recording(72.3, label=np.zeros(900))], EXACT)[0]
    assert found.hr_true == pytest.approx(72.3, abs=0.05) and found.hr_pred == pytest.approx(72.3, abs=0.3)
    assert found.snr > 3 and found.quality > 3 and found.macc > 0.9 and found.seconds == pytest.approx(30)


def test_each_window_has_the_rate_of_its_own_time():
    """A reference that changes its rate gives different true rates in different windows."""
    native = np.arange(40 * 64) / 64.0
    values = np.where(native < 20, beat(60, native), beat(90, native))
    frames = np.arange(1200) / 30.0
    both = RecordingResult("r", "r", 30.0, np.where(frames < 20, beat(60, frames), beat(90, frames)),
                           reference=signal(values, fs=64.0))  # fmt: skip
    found = rows([both], EXACT, window_seconds=20)
    assert [round(one.hr_true) for one in found] == [round(one.hr_pred) for one in found] == [60, 90]
    assert [one.start_s for one in found] == [0.0, 20.0]


def test_dropped_frames_do_not_change_the_exact_rate():
    """With frame times, a video that lost every tenth frame still gives its rate; without them it would not."""
    frames = np.delete(np.arange(900) / 30.0, np.arange(0, 900, 10))
    wave = beat(72.3, frames)
    native = signal(beat(72.3, np.arange(1920) / 64.0), fs=64.0)
    timed = RecordingResult("r", "r", 30.0, wave, reference=native, times=frames)
    assert rows([timed], EXACT)[0].hr_pred == pytest.approx(72.3, abs=0.2)
    untimed = RecordingResult("r", "r", 30.0, wave, reference=native)
    assert abs(rows([untimed], EXACT)[0].hr_pred - 72.3) > 5


def test_a_differential_prediction_is_integrated():
    """DiffNormalized predictions and labels give the same rates as the waves themselves, under both presets."""
    plain = recording(80.0)
    diff = recording(
        80.0, prediction=np.diff(plain.prediction, append=0).astype(np.float32), label=np.diff(plain.label, append=0),
        label_type="DiffNormalized",
    )  # fmt: skip
    for one in (EXACT, TOOLBOX):
        assert rows([diff], one)[0].hr_pred == pytest.approx(rows([plain], one)[0].hr_pred, abs=1)


def test_a_reference_may_come_with_times_a_rate_or_neither():
    """Times on the frames' clock, a rate from the first frame on, or spread over the whole video."""
    frames = 100.0 + np.arange(900) / 30.0
    native = np.arange(1920) / 64.0
    for given in (
        signal(beat(66, native), times=100.0 + native),
        signal(beat(66, native), fs=64.0),
        signal(beat(66, np.linspace(0, 29.97, 500))),
    ):
        result = RecordingResult("r", "r", 30.0, beat(66, frames), reference=given, times=frames)
        assert rows([result], EXACT)[0].hr_true == pytest.approx(66, abs=0.1)
    own_clock = recording(66, reference=signal(beat(66, native), times=5000.0 + native))
    assert rows([own_clock], EXACT)[0].hr_true == pytest.approx(66, abs=0.1)


def test_a_reference_without_times_is_spread_over_the_whole_video():
    """A prediction that stops early (dropped tail) does not squeeze the reference: `frames` is the whole video."""
    values = beat(66, np.linspace(0, 29.97, 900))
    cut = RecordingResult("r", "r", 30.0, beat(66, np.arange(720) / 30.0), reference=signal(values), frames=900)
    assert rows([cut], EXACT)[0].hr_true == pytest.approx(66, abs=0.1)
    single = RecordingResult("r", "r", 30.0, np.zeros(1), reference=signal(values), frames=900)
    assert len(reference_wave(single)[0]) == 900


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"prediction": np.full(900, np.nan)}, "the prediction holds NaN"),
        ({"prediction": np.full(900, 120.0)}, "the prediction is constant"),
        ({"reference": signal(np.zeros(1920), fs=64.0)}, "the reference is constant"),
        ({"reference": signal(beat(70, np.arange(640) / 64), fs=64.0)}, "the reference covers 33% of the window"),
        ({"reference": signal(np.full(1920, np.nan), fs=64.0)}, "the reference covers 0% of the window"),
        ({"reference": signal(beat(70, np.arange(120) / 4), fs=4.0)}, "too few for the band"),
        ({"reference": None}, "no reference"),
        ({"fs": 5.0, "prediction": np.random.default_rng(0).normal(size=150)}, "too few for the band"),
    ],
)
def test_exact_names_what_is_wrong(change, note):
    """Broken predictions and references give no error and say why; the window stays in the list."""
    found = rows([recording(70, **change)], EXACT)[0]
    assert not found.valid and note in found.note


def test_a_wave_shorter_than_the_filter_is_named():
    """Twelve samples are too few for the filter of exact."""
    assert filtered(np.arange(12.0), 30.0, EXACT)[1] == "has only 12 samples here"


def test_a_gap_in_the_reference_is_not_covered():
    """Ten missing seconds in the middle count as uncovered; a few missing samples do not."""
    native = np.arange(1920) / 64.0
    holes = beat(70, native)
    holes[100:110] = np.nan
    assert rows([recording(70, reference=signal(holes, fs=64.0))], EXACT)[0].valid
    holes[600:1240] = np.nan
    assert "covers 67%" in rows([recording(70, reference=signal(holes, fs=64.0))], EXACT)[0].note


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"prediction": np.full(900, np.inf)}, "the prediction holds NaN or infinite values (900 of 900)"),
        ({"label": np.where(np.arange(900) == 5, np.nan, 1.0)}, "the label holds NaN or infinite values (1 of 900)"),
        ({"label": np.full(900, 3.0)}, "the label is constant"),
        ({"label": None}, "no label"),
    ],
)
def test_toolbox_names_what_is_wrong(change, note):
    """Where rPPG-Toolbox makes NaN or a bin of nothing, the window is excluded and named."""
    found = rows([recording(70, **change)], TOOLBOX)[0]
    assert not found.valid and found.note == note


def test_a_wave_with_fewer_than_two_peaks_has_no_rate():
    """Peak detection in a slow short window gives NaN, which is excluded and named."""
    time_ = np.arange(12) / 30.0
    short = RecordingResult("r", "r", 30.0, np.sin(2 * np.pi * time_), np.sin(2 * np.pi * time_))
    assert "fewer than two peaks" in rows([short], TOOLBOX, "peak detection")[0].note
    label_only = RecordingResult("r", "r", 30.0, beat(300, np.arange(60) / 30), np.linspace(0, 1, 60) ** 2)
    assert "fewer than two peaks" in rows([label_only], TOOLBOX, "peak detection")[0].note


def test_a_short_tail_is_listed_but_not_evaluated_by_exact():
    """Two seconds are no basis for a rate; toolbox evaluates them as rPPG-Toolbox does."""
    short = recording(70, seconds=12.0)
    assert [one.valid for one in rows([short], EXACT, window_seconds=10)] == [True, False]
    assert "2.0 s are too short for a rate: 5 s needed" in rows([short], EXACT, window_seconds=10)[1].note
    assert [one.valid for one in rows([short], TOOLBOX, window_seconds=10)] == [True, True]
    shortest = preset("toolbox").__class__("mine", (0.6, 3.3), "label", min_seconds=5.0)
    assert [one.valid for one in rows([short], shortest, window_seconds=10)] == [True, False]


def test_a_shorter_prediction_keeps_its_label_under_toolbox_only():
    """CHROM: toolbox reads the label's rate off the whole label window, the others cut it to the prediction."""
    label = np.concatenate([beat(60, np.arange(880) / 30), 50 * beat(150, np.arange(20) / 30)])
    short = recording(60, label=label, prediction=beat(60, np.arange(880) / 30))
    assert rows([short], TOOLBOX)[0].hr_true > 100 > 62 > rows([short], PRESETS["neurips2023"])[0].hr_true
    windowed = rows([short], TOOLBOX, window_seconds=20)
    assert len(windowed) == 2 and windowed[1].start_s == 20.0 and windowed[1].seconds == pytest.approx(280 / 30)


def test_uneven_times_become_even():
    """An even clock is left alone, an uneven one is interpolated, a clock that stands still falls back to FS."""
    times, values = np.arange(10) / 10.0, np.arange(10.0)
    assert uniform(times, values, 10.0)[1] is values
    grid, found = uniform(np.delete(times, 5), np.delete(values, 5), 10.0)
    assert np.allclose(grid, times) and np.allclose(found, values)
    still = recording(70, times=np.zeros(900))
    assert not rows([still], EXACT)[0].valid


def test_aligned_waves_prefer_the_reference():
    """For plots: the reference at the frames, else the label (integrated when differential), else nothing."""
    with_reference = recording(70)
    seconds, prediction, truth = aligned_waves(with_reference, EXACT)
    assert len(seconds) == len(prediction) == len(truth) == 900 and seconds[0] == 0
    diff = recording(70, reference=None, label=np.diff(with_reference.label, append=0), label_type="DiffNormalized")
    assert np.corrcoef(aligned_waves(diff, EXACT)[2][30:-30], truth[30:-30])[0, 1] > 0.95  # half a frame off
    plain = recording(70, reference=None)
    assert np.corrcoef(aligned_waves(plain, EXACT)[2][30:-30], truth[30:-30])[0, 1] > 0.98
    assert aligned_waves(recording(70, reference=None, label=None), EXACT)[2] is None


FOUND = [
    row("a", 60.0, 61.0), row("a", 62.0, 61.0, 1), row("b", 80.0, 83.0), row("c", 90.0, 45.0), row("d", 50.0, 100.5),
    row("e", 70.0, math.nan, note="the prediction is constant"),
]  # fmt: skip


def test_excluded_windows_are_counted_and_the_rest_is_right():
    """A NaN window leaves the means alone, is counted per metric, and named in the table and on the screen."""
    scores = summary(FOUND, METRICS)
    assert scores["MAE"].value == pytest.approx(np.mean([1, 1, 3, 45, 50.5]))
    assert (scores["MAE"].n, scores["MAE"].subjects, scores["MAE"].excluded) == (5, 4, 1)
    one = table("POS", FOUND, TOOLBOX, "FFT", None, METRICS)
    assert [left.id for left in one.excluded] == ["e"] and len(one.valid) == 5
    assert console.excluded_lines(one) == ["Excluded windows: 1 of 6 (e window 0: the prediction is constant)"]
    assert one.share(2.0) == 0.2 and one.share(0.5) == 0.2


def test_an_infinite_snr_leaves_only_the_snr_out():
    """A window without a bin near the rate has no SNR but counts in the errors."""
    scores = summary([*FOUND[:3], row("f", 70.0, 71.0, snr=-math.inf)], ["MAE", "SNR"])
    assert scores["MAE"].n == 4 and scores["SNR"].n == 3 and scores["SNR"].excluded == 1 and scores["SNR"].value == 1.0


def test_nothing_valid_gives_nan_everywhere():
    """A table of broken windows has no values, no interval, no shares, and does not crash."""
    one = table("POS", FOUND[-1:], EXACT, "FFT", 10.0, METRICS)
    assert all(math.isnan(score.value) and score.n == 0 for score in one.scores.values())
    assert all(math.isnan(value.value) for value in one.subjects.values()) and math.isnan(one.share(2.0))


def test_the_interval_leaves_out_one_subject_after_the_other():
    """Two windows of one subject go together: the interval is that of the plain loop, on the scale of logarithms."""
    score = summary(FOUND, ["MAE"])["MAE"]
    errors = [[1.0, 1.0], [3.0], [45.0], [50.5]]
    without = [np.log(np.mean(sum(errors[:k] + errors[k + 1 :], []))) for k in range(4)]
    middle = np.log(np.mean(sum(errors, [])))
    reach = stats.t.ppf(0.975, 3) * math.sqrt(4 / 3 * np.sum((np.array(without) - middle) ** 2))
    assert (score.low, score.high) == pytest.approx((np.exp(middle - reach), np.exp(middle + reach)))


def test_one_subject_has_no_interval():
    """One subject, or a metric that is never defined: there is no interval."""
    assert math.isnan(summary(FOUND[:2], ["MAE"])["MAE"].low)
    same = [row("a", 60, 70), row("b", 61, 70)]
    assert math.isnan(summary(same, ["Pearson"])["Pearson"].low)


def test_subjects_count_once():
    """A subject with many windows weighs as much as one with a single window."""
    many = [*[row("a", 60.0, 61.0, k) for k in range(9)], row("b", 80.0, 83.0), row("c", 90.0, 92.0)]
    found = per_subject(many, METRICS)
    assert found["MAE"] == pytest.approx((2.0, np.std([1, 3, 2]) / math.sqrt(3)))
    assert found["Pearson"].value == pytest.approx(np.corrcoef([60, 80, 90], [61, 83, 92])[0, 1])


def test_the_constant_mean_is_a_fair_baseline():
    """Mean of the training rates when given, else of the test rates; no SNR, no wave; marked as baseline."""
    one = table("POS", FOUND, EXACT, "FFT", None, [*METRICS, "BA"])
    oracle, trained = constant_mean(one), constant_mean(one, 75.0)
    assert {found.hr_pred for found in oracle.rows} == {np.mean([60, 62, 80, 90, 50, 70])}
    assert {found.hr_pred for found in trained.rows} == {75.0} and "training rates, 75.0 bpm" in trained.method
    assert trained.baseline and set(trained.scores) == {"MAE", "RMSE", "MAPE", "Pearson"}
    empty = constant_mean(table("POS", [], EXACT, "FFT", None, ["MAE"]))
    assert math.isnan(empty.scores["MAE"].value)


def test_console_lines_are_verbatim():
    """The words rPPG-Toolbox prints, neural and classical, FFT and peak, mistakes included."""
    one = table("POS", [row("a", 60.0, 61.0), row("b", 70.0, 70.0)], TOOLBOX, "FFT", 30.0, METRICS)
    names = ["MAE", "SNR", "MACC", "RMSE", "BA", "AU_METRICS"]
    assert console.lines(one, names) == [
        f"FFT MAE (FFT Label): 0.5 +/- {0.5 / math.sqrt(2)}", "FFT SNR (FFT Label): 1.0 +/- 0.0 (dB)",
        "FFT MACC (FFT Label): 0.9 +/- 0.0",
        f"FFT RMSE (FFT Label): {math.sqrt(0.5)} +/- {math.sqrt(0.5 / math.sqrt(2))}",
    ]  # fmt: skip
    starts = [line.split(":")[0] for line in console.lines(one, METRICS, "peak detection")]
    assert starts == [
        "Peak MAE (Peak Label)", "PEAK RMSE (Peak Label)", "PEAK MAPE (Peak Label)", "PEAK Pearson (Peak Label)",
        "PEAK SNR (PEAK Label)", "PEAK MACC (PEAK Label)",
    ]  # fmt: skip
    starts = [line.split(":")[0] for line in console.lines(one, METRICS, "peak detection", unsupervised=True)]
    assert starts[-2:] == ["FFT SNR (FFT Label)", "MACC (avg)"]
    assert "preset toolbox, band 0.6-3.3 Hz, 30 s windows, FFT, n = 2 windows of 2 subjects" in console.header(one)


def test_many_excluded_windows_are_shortened():
    """Ten are named, the others counted."""
    broken = [row("r", 60.0, math.nan, k, note="x") for k in range(12)]
    assert "; and 2 more)" in console.excluded_lines(table("POS", broken, EXACT, "FFT", None, ["MAE"]))[0]


@pytest.mark.parametrize("name", ["metrics_videos", "deepphys_pure_ubfc"])
@pytest.mark.parametrize("kind", ["FFT_whole", "FFT_win10s", "Peak_whole", "Peak_win10s"])
def test_parity_of_whole_data_sets(name, kind):
    """Every window and every metric of the recorded data sets: 1e-6, SNR 1e-3 dB."""
    arrays = np.load(reference(f"parity/{name}.npz"))
    expected = json.loads(reference(f"parity/{name}.json").read_text())[kind]
    names = expected.get("video_order") or sorted({key.rsplit("_", 1)[0] for key in arrays})
    results = [
        RecordingResult(one, one, 30, arrays[f"{one}_pred"], arrays[f"{one}_label"], "DiffNormalized") for one in names
    ]
    method, window = "FFT" if kind.startswith("FFT") else "peak detection", 10 if "win10s" in kind else None
    found = evaluate("X", results, [TOOLBOX], method, window, METRICS)[0]
    assert len(found.rows) == len(found.valid) == expected["n"]
    mine = np.array([[one.hr_true, one.hr_pred, one.snr, one.macc] for one in found.rows])
    difference = np.abs(mine - expected["per_window_hrlabel_hrpred_snr_macc"]).max(axis=0)
    assert (difference <= [1e-6, 1e-6, 1e-3, 1e-6]).all()
    for metric in METRICS:
        tolerance = 1e-3 if metric == "SNR" else 1e-6
        assert found.scores[metric].value == pytest.approx(expected[metric]["value"], abs=tolerance)
        assert found.scores[metric].standard_error == pytest.approx(expected[metric]["se"], abs=tolerance)


@pytest.mark.parametrize("kind", ["FFT", "Peak"])
def test_parity_of_the_narrow_band(kind):
    """Preset neurips2023 gives the recorded MAE and MAPE of the band 0.75-2.5 Hz on real predictions."""
    arrays = np.load(reference("parity/deepphys_pure_ubfc.npz"))
    expected = json.loads(reference("parity/deepphys_pure_ubfc.json").read_text())[f"{kind}_whole_band0.75-2.5"]
    names = sorted({key.rsplit("_", 1)[0] for key in arrays})
    results = [
        RecordingResult(one, one, 30, arrays[f"{one}_pred"], arrays[f"{one}_label"], "DiffNormalized") for one in names
    ]
    method = "FFT" if kind == "FFT" else "peak detection"
    found = evaluate("X", results, [PRESETS["neurips2023"]], method, None, METRICS)[0]
    assert found.scores["MAE"].value == pytest.approx(expected["MAE"], abs=1e-6)
    assert found.scores["MAPE"].value == pytest.approx(expected["MAPE"], abs=1e-6)
