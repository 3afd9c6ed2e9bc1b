"""Rates of contact sensors through the command line: one answer for each file, none costs another its own."""

import json

import numpy as np
import pytest

import main
from dataset.data_loader.base import Signal
from dataset.synthetic.pulse import make_heart
from dataset.synthetic.settings import Settings
from evaluation.contact import of_ecg, of_pulse
from evaluation.presets import preset
from unsupervised_methods.signals import find_files

EXACT = preset("exact")


def heart(seconds=40.0, bpm=72.0):
    """A rendered heart."""
    return make_heart(Settings(seconds=seconds, heart_rate=(bpm, bpm), seed=3), 1)


def ppg(seconds=40.0, bpm=72.0, fs=100.0):
    """Times and pulse wave of one."""
    times = np.arange(int(seconds * fs)) / fs
    return times, heart(seconds, bpm).pulse(times) + 0.01 * np.random.default_rng(0).normal(size=len(times))


def write_table(path, times, **columns):
    """A CSV file with a column of times."""
    rows = zip(times, *columns.values(), strict=True)
    path.write_text("\n".join([",".join(["time", *columns]), *(",".join(f"{v:.6g}" for v in row) for row in rows)]))
    return path


def run(tmp_path, *arguments):
    """Exit code and vitals.json of a run."""
    code = main.main(["--signal", *map(str, arguments), f"LOG.PATH={tmp_path / 'log'}"])
    found = sorted((tmp_path / "log").rglob("vitals.json"))
    return code, json.loads(found[-1].read_text()) if found else None


@pytest.mark.parametrize("bpm", [45.0, 72.0, 130.0])
def test_a_pulse_wave_has_a_rate_and_its_beats(bpm):
    """Within 2 bpm, breathing within 2 a minute, every beat counted."""
    times, wave = ppg(bpm=bpm)
    found = of_pulse("a", Signal(wave, fs=100.0), EXACT)
    true = heart(bpm=bpm)
    assert found.reliable and found.rate == pytest.approx(60 * np.sum((true.beats > 0) & (true.beats < 40)) / 40, abs=3)
    assert found.rhythm.coverage > 0.9 and not found.rhythm.irregular


def test_an_ecg_has_the_rate_of_its_beats():
    """As the pulse that follows it."""
    times = np.arange(0, 40, 1 / 250)
    ecg = heart().ecg(times) + 0.02 * np.random.default_rng(0).normal(size=len(times))
    found, pulse = of_ecg("a", Signal(ecg, fs=250.0), EXACT), of_pulse("a", Signal(ppg()[1], fs=100.0), EXACT)
    assert found.reliable and found.confidence > 0.9 and found.rate == pytest.approx(pulse.rate, abs=1.5)
    assert found.rhythm.rmssd == pytest.approx(pulse.rhythm.rmssd, abs=12)
    assert found.rhythm.mean_rr == pytest.approx(pulse.rhythm.mean_rr, abs=10)


@pytest.mark.parametrize("judge", [of_pulse, of_ecg])
def test_noise_has_no_rate(judge):
    """A reason, and no number on screen."""
    found = judge("a", Signal(np.random.default_rng(1).normal(size=5000), fs=125.0), EXACT)
    assert not found.reliable and found.reason


@pytest.mark.parametrize("judge", [of_pulse, of_ecg])
def test_short_and_flat_signals_have_no_rate(judge):
    """Three seconds, a line, and one without a sample of change."""
    for values in (ppg(3.0)[1], np.zeros(4000), np.arange(4000.0)):
        assert not judge("a", Signal(values, fs=100.0), EXACT).reliable


def test_a_spectrum_without_its_beats_is_not_believed():
    """A slow wave whose flank reaches into the band."""
    times = np.arange(0, 60, 0.01)
    found = of_pulse("a", Signal(np.abs(np.sin(2 * np.pi * 0.2 * times)) ** 0.2, fs=100.0), EXACT)
    assert not found.reliable


def test_files_are_answered_one_by_one(tmp_path, capsys):
    """A table, a broken one and one without a pulse: exit code 3, and the first has its rate."""
    folder = tmp_path / "data"
    folder.mkdir()
    times, wave = ppg()
    write_table(folder / "good.csv", times, red=wave, ir=np.zeros_like(wave), resp=np.sin(times))
    write_table(folder / "noise.csv", times, ppg=np.random.default_rng(2).normal(size=len(times)))
    (folder / "broken.csv").write_text("time,ppg\n0,1\n1\n")
    code, content = run(tmp_path, folder)
    printed = capsys.readouterr()
    assert code == 3 and "noise" in printed.err and "broken" in printed.err
    by_name = {one["recording"]: one for one in content["recordings"]}
    assert by_name["good"]["reliable"] and by_name["good"]["region"] == "pulse wave 'red'"
    assert by_name["good"]["hrv"]["rmssd_ms"] > 0 and by_name["noise"]["heart_rate_bpm"] is None
    assert content["failed"][0]["recording"] == "broken" and "broken.csv" in content["failed"][0]["reason"]
    files = {path.name for path in (tmp_path / "log").rglob("*") if path.is_file()}
    assert files >= {
        "vitals.json",
        "vitals.html",
        "beats.csv",
        "beats.png",
        "report.md",
        "config.yaml",
        "environment.json",
    }


def test_a_rate_is_told_for_a_table_without_times(tmp_path, capsys):
    """The sentence names the option; with it there is a rate."""
    np.savetxt(tmp_path / "a.txt", ppg()[1])
    code, _ = run(tmp_path, tmp_path / "a.txt")
    assert code == 3 and "--fs 100" in capsys.readouterr().out
    code, content = run(tmp_path, tmp_path / "a.txt", "--fs", "100")
    assert code == 0


def test_times_in_milliseconds_are_guessed_and_told(tmp_path, capsys):
    """The setting that the sentence names mends it."""
    times, wave = ppg()
    write_table(tmp_path / "a.csv", 1e3 * times, ppg=wave)
    code, _ = run(tmp_path, tmp_path / "a.csv")
    printed = capsys.readouterr().out
    assert code == 3 and "milliseconds" in printed and "TIME_UNIT=ms" in printed
    assert run(tmp_path, tmp_path / "a.csv", "TIME_UNIT=ms")[0] == 0


def test_a_channel_is_chosen_by_name(tmp_path, capsys):
    """In any case; an unknown one is refused with those there are."""
    times, wave = ppg()
    write_table(tmp_path / "a.csv", times, red=wave, ir=np.random.default_rng(4).normal(size=len(wave)))
    assert run(tmp_path, tmp_path / "a.csv", "--channel", "RED")[0] == 0
    assert run(tmp_path, tmp_path / "a.csv", "--channel", "ir")[0] == 3
    assert run(tmp_path, tmp_path / "a.csv", "--channel", "green")[0] == 3
    assert "has red, ir" in capsys.readouterr().out


def test_nothing_to_measure(tmp_path, capsys):
    """An empty folder, a name that is not there, no name at all."""
    (tmp_path / "empty").mkdir()
    assert run(tmp_path, tmp_path / "empty")[0] == 1 and ".hea" in capsys.readouterr().err
    assert run(tmp_path, tmp_path / "gone.csv")[0] == 1 and "no such file" in capsys.readouterr().err
    assert main.main(["--config_file", str(main.settings.DEFAULT_FILE.with_name("own_signals.yaml"))]) == 1
    assert "--signal" in capsys.readouterr().err


def test_names_of_files(tmp_path):
    """Equal names in two folders are told apart; segments of a record are no recordings of their own."""
    for place in ("a/x.csv", "b/x.csv", "c/r.hea", "c/r_1.hea", "c/r_2.hea", "c/notes.pdf"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    assert sorted(find_files([tmp_path])) == ["a_x", "b_x", "c_r"]
