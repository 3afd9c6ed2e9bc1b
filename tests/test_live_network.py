"""Frames as they come, measured by a network: its answer is that of a video, and how sure it is counts."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import main
from dataset.synthetic import signals
from dataset.synthetic.writer import write_recording
from neural_methods import chosen
from pulsescope import Session
from tests.live_tools import BPM, person
from tests.test_live_protocol import Talk
from unsupervised_methods.expects import Expects
from unsupervised_methods.live import session as sessions
from unsupervised_methods.live.colours import Colours
from unsupervised_methods.live.rolling import Rolling
from unsupervised_methods.live.tab import Tab
from unsupervised_methods.live.terminal import watch
from unsupervised_methods.live.voters import Classical, OfNetwork

pytest.importorskip("neural_methods.measuring", reason="torch is not installed, which the shipped network needs")
WEIGHTS = chosen.shipped("GridPulse")


class Greens:
    """A network by hand: less green is more blood, each cell alike; as sure as it is told to be."""

    def __init__(self, sure=0.95, **changed):
        """As networks are described."""
        self.name, self.logit = "Greens", np.log(sure / (1 - sure))
        self.expects = replace(Expects("Greens", 300, (32, 32), ("Raw",), 3, "Raw", 30.0, 1.0, 120, 4), **changed)

    def __call__(self, video):
        """(B, 3, T, 4, 4) -> (B, 2, T)."""
        wave = -video[:, 1].mean(axis=(2, 3))
        return np.stack([wave, np.full_like(wave, self.logit)], axis=1)


@pytest.fixture(scope="module")
def film():
    """6.5 s of a rendered person, 15 frames per second, and the times."""
    shown = person(6.5, FS=15.0)
    return list(shown.frames()), shown.truth().times


def pushed(session, film):
    """The session after the film."""
    for frame, time in zip(*film, strict=True):
        session.push(frame, float(time))
    return session


def test_the_shipped_network_says_rate_and_wave(film):
    """By its name; the face box is whole, and the wave rises as the blood does."""
    session = pushed(Session(method="GridPulse"), film)
    one = session.colours.answer
    assert one.reliable and one.heart_rate == pytest.approx(BPM, abs=3) and list(one.votes) == ["GridPulse"]
    assert one.region == "face box x 1" and session.voter.name == "GridPulse"
    times, wave = session.wave(3.0)
    truth = person(6.5, FS=15.0).truth()
    assert np.corrcoef(wave, np.interp(times, truth.times, truth.ppg))[0, 1] > 0.7


def test_how_sure_it_is_is_a_factor_of_the_confidence(film):
    """The same wave, half as sure; below the level there is no number."""
    sure, half = (
        pushed(sessions.Session(voter=OfNetwork(Greens(one))), film).colours.answer for one in (0.9, 0.45)
    )  # fmt: skip
    assert sure.reliable and sure.rate == half.rate and half.confidence == pytest.approx(sure.confidence / 2, rel=1e-3)
    low = pushed(sessions.Session(voter=OfNetwork(Greens(0.2))), film).colours.answer
    assert not low.reliable and "Greens takes such a wave for right in 20% of cases only" in low.reason


def test_methods_that_are_as_sure_of_another_rate_doubt_it(film):
    """As for a video: no number then."""

    class Other(Greens):
        def __call__(self, video):
            found = super().__call__(video)
            found[:, 0] = np.sin(2 * np.pi * 2.0 * np.arange(video.shape[2]) / 30)
            return found

    one = pushed(sessions.Session(voter=OfNetwork(Other())), film).colours.answer
    assert not one.reliable and re.match(r"Greens finds 120 bpm, POS, CHROM, LGI find 6[567]", one.reason)


@pytest.mark.parametrize(
    "changed", [{"grid": 0}, {"box": 0.0}, {"data_types": ("DiffNormalized",)}], ids=["pixels", "no box", "differences"]
)
def test_a_network_that_reads_more_than_is_kept_is_refused(changed):
    """With the way out."""
    with pytest.raises(ValueError, match="Greens reads pixels. Name a network .* or measure with --video"):
        OfNetwork(Greens(**changed))


def test_cells_are_the_pictures_of_a_file():
    """Which reads pictures of one size alone: each pixel is its cell."""
    from unsupervised_methods.live.voters import _Cells
    from unsupervised_methods.onnx_file import OnnxNetwork

    class File(OnnxNetwork):
        def __init__(self):
            self.name, self.expects = "File", Greens().expects

        def __call__(self, video):
            return video

    cells = np.arange(16.0).reshape(1, 1, 1, 4, 4)
    seen = _Cells(File())(cells)
    assert seen.shape == (1, 1, 1, 32, 32) and (seen.reshape(4, 8, 4, 8).mean(axis=(1, 3)) == cells[0, 0, 0]).all()


def test_a_region_that_moves_makes_no_step_in_any_cell(monkeypatch):
    """From a picture's bright part to a dark one."""
    eyes = SimpleNamespace(box=[10, 10, 40, 40])
    eyes.detect = lambda rgb: np.array([eyes.box], dtype=float)
    monkeypatch.setattr(sessions, "get_detector", lambda name: eyes)
    session = sessions.Session(voter=OfNetwork(Greens()))
    picture = np.random.default_rng(0).integers(40, 200, (160, 160, 3), dtype=np.uint8)
    for time in np.arange(0, 4, 0.1):
        eyes.box = [10, 10, 40, 40] if time < 2 else [35, 10, 55, 40]
        session.push(picture, float(time))
    _, colours = session.colours.kept.latest()
    assert colours.shape == (40, 17, 3) and session.box[0] > 30 and np.ptp(colours, axis=0).max() < 1e-3


def test_a_page_and_a_terminal_are_told_who_measures(film, capsys):
    """The page by the state; both show the rate by that network."""
    talk = Talk(film)
    talk.tab = Tab(now=talk.tab._now, voter=OfNetwork(Greens()))
    for at in range(len(talk.frames)):
        if at % 15 == 0:
            talk.picture(at)
        talk.pixels(at)
    state = talk.told["state"]
    assert state["method"] == "Greens" and state["rate"] == pytest.approx(BPM, abs=3) and talk.told["wave"]
    assert watch(zip(*film, strict=True), OfNetwork(Greens())) == 0
    assert float(capsys.readouterr().out.splitlines()[-1].split()[0]) == pytest.approx(BPM, abs=3)


def test_one_classical_method_may_measure_alone(film):
    """As with --video."""
    assert list(pushed(Session(method="CHROM"), film).colours.answer.votes) == ["CHROM"]


@pytest.mark.parametrize("place", [["--video", "tests"], ["--live", "cam:77"]])
@pytest.mark.parametrize(
    ("who", "words"),
    [
        (
            ["--method", "GridPulze"],
            "--method GridPulze is no known method and no .onnx file. Did you mean 'GridPulse'",
        ),
        (["--method", "Physnet"], "--method Physnet is a network: name a file of its weights, --weights FILE.pth."),
        (["--method", "GridPulse", "--weights", "no.pth"], "no.pth"),
    ],
)
def test_who_is_nobody_is_the_same_error_as_for_a_video(place, who, words, capsys):
    """One sentence."""
    assert main.main([*place, *who]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("who", [["--method", "GridPulse"], ["--weights", WEIGHTS]])
def test_a_missing_package_is_named_with_the_way_to_it(who, monkeypatch, capsys):
    """Of the method and of the weights, live and for a video."""
    monkeypatch.setattr("registry.absent_package", lambda module: "torch" if "gridpulse" in module else "")
    monkeypatch.setitem(__import__("sys").modules, "neural_methods.described", None)
    for place in (["--live", "cam:77"], ["--video", "tests"]):
        assert main.main([*place, *who]) == 1
        assert "which is not installed: pip install -r requirements.txt." in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--method", "POS"], ["--weights", "a.pth"], ["--live", "cam:77", "--faces", "all"]])
def test_who_measures_needs_something_to_measure(more, capsys):
    """And faces are of videos."""
    with pytest.raises(SystemExit):
        main.main(more)
    assert "--live" in (said := capsys.readouterr().err) or "--faces" in said


# --- What is kept -----------------------------------------------------------------------------------------------------


def test_what_is_kept_is_bounded_and_a_gap_starts_anew():
    """In seconds and in number."""
    kept = Rolling(2.0)
    for time in [*np.arange(0, 10, 0.1), *(10 + np.arange(900) / 1000)]:
        kept.add(float(time), np.zeros(3))
    assert len(kept) == 480 and kept.seconds < 2.0
    kept.add(20.0, np.ones(3))
    assert len(kept) == 1 and kept.seconds == 0 and np.isnan(kept.fps)


def test_even_times_are_the_same_ones_whenever_it_is_asked():
    """Of frames that come unevenly; a line stays a line."""
    kept, random, before = Rolling(3.0), np.random.default_rng(0), set()
    for time in np.cumsum(random.uniform(0.02, 0.05, 200)):
        kept.add(float(time), np.array([[2 * time, 1.0]]))
        times, values = kept.even(30.0)
        assert values.shape == (len(times), 1, 2)
        assert np.allclose(30 * times, np.rint(30 * times)) and np.allclose(values[:, 0, 0], 2 * times)
        before |= set(np.rint(30 * times))
    assert sorted(before) == list(range(int(min(before)), int(max(before)) + 1))


def test_a_pause_starts_a_network_anew():
    """Nothing of before is used, and there is no wave at first."""
    colours = Colours(OfNetwork(Greens()))
    for time in [*np.arange(0, 6, 0.1), 8.0]:
        colours.add(float(time), np.full((17, 3), 100.0))
    assert len(colours.kept) == 1 and colours.wave(6.0) is None and not colours.due()


@pytest.mark.slow
def test_it_says_the_same_as_for_a_video(tmp_path, capsys):
    """Through main.py, of a rendered person: rate and confidence."""
    clip, found = tmp_path / "clip.mp4", {}
    write_recording(clip, person(14.0))
    more = [f"LOG.PATH={tmp_path}", f"UNSUPERVISED.DATA.CACHED_PATH={tmp_path / 'cache'}", "DEVICE=cpu"]
    for where, place in (("--video", [str(clip), *more]), ("--live", [f"file:{clip}"])):
        assert main.main([where, *place, "--method", "GridPulse"]) == 0
        said = re.findall(r"([\d.]+) bpm \([\d.]+ to [\d.]+\), confidence ([\d.]+)", capsys.readouterr().out)[-1]
        found[where] = [float(one) for one in said]
    assert found["--live"][0] == pytest.approx(found["--video"][0], abs=0.5)
    assert found["--live"][1] == pytest.approx(found["--video"][1], abs=0.05)


@pytest.mark.slow
def test_a_file_of_it_says_the_same(tmp_path):
    """Exported, without torch: of the same colours the same answer and nearly the same wave."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (the extra `onnx`)")
    from tools.export import main as export

    file = tmp_path / "gridpulse.onnx"
    assert export(["--weights", WEIGHTS, "--output", str(file)]) == 0
    drawn = signals.draw((5, 3), 480, 30.0).colours
    both = [Colours(chosen.live(one)) for one in ("GridPulse", str(file))]
    for one in both:
        for number, cells in enumerate(255 * drawn):
            one.add(number / 30, np.vstack([cells.mean(axis=0), cells]))
        one.judge(1.0, "")
    torchs, files = (one.answer for one in both)
    assert files.rate == pytest.approx(torchs.rate, abs=0.1)
    assert files.confidence == pytest.approx(torchs.confidence, abs=0.01)
    (_, wave), (_, other) = (one.wave(5.0) for one in both)
    assert np.corrcoef(wave[-140:], other[-140:])[0, 1] > 0.9


def test_classical_methods_keep_one_colour():
    """They are not slower for it."""
    assert Classical().colours(np.full((9, 9, 3), 7, np.uint8)).tolist() == [[7.0, 7.0, 7.0]]
