"""Bland-Altman statistics and plots: right limits, files of the known names, never fatal, nothing written back."""

import logging
import subprocess
import sys

import numpy as np
import pytest

from evaluation import bland_altman, figures
from evaluation.bland_altman import agreement, density, jittered, plots

TRUE = np.array([60.0, 70.0, 80.0, 90.0, 155.0])
PREDICTED = np.array([61.0, 69.0, 83.0, 90.0, 152.0])


def test_limits_with_and_without_correction():
    """Limits are mean +/- 1.96 s, and sqrt(2) wider on request; too few pairs have no spread."""
    plain, wide = agreement(TRUE, PREDICTED), agreement(TRUE, PREDICTED, correction=True)
    difference = PREDICTED - TRUE
    assert plain.bias == wide.bias == difference.mean()
    assert plain.high == pytest.approx(difference.mean() + 1.96 * difference.std(ddof=1))
    assert wide.high - wide.bias == pytest.approx(np.sqrt(2) * (plain.high - plain.bias))
    assert np.isnan(agreement(TRUE[:1], PREDICTED[:1]).spread) and np.isnan(agreement([], []).bias)


@pytest.mark.parametrize(("method", "word"), [("FFT", "FFT"), ("peak detection", "Peak")])
def test_the_files_have_rppg_toolboxs_names(tmp_path, capsys, method, word):
    """Two PDFs and their PNG twins; nothing on the screen; inputs untouched by the jitter."""
    before = TRUE.copy(), PREDICTED.copy()
    written = plots(TRUE, PREDICTED, tmp_path / "new", "POS_PURE", method)
    names = [f"POS_PURE_{word}_BlandAltman_{kind}" for kind in ("ScatterPlot", "DifferencePlot")]
    assert [path.name for path in written] == [name + suffix for name in names for suffix in (".pdf", ".png")]
    assert all(path.stat().st_size > 1000 for path in written)
    assert not capsys.readouterr().out  # one line for all plots of a run says where they are
    assert np.array_equal(before[0], TRUE) and np.array_equal(before[1], PREDICTED)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_points_without_a_density_are_plotted_plainly(tmp_path, count):
    """Equal points, points in line, or fewer than three: still both plots."""
    assert len(plots(np.full(count, 70.0), np.full(count, 70.0), tmp_path, "x", correction=False)) == 4
    assert density(np.arange(5.0), np.arange(5.0)) is not None


def test_a_density_that_is_not_finite_is_dropped():
    """NaN points get the plain colour."""
    assert density(np.array([1.0, np.nan, 2.0, 5.0]), np.array([1.0, 2.0, 4.0, 3.0])) == "tab:blue"


def test_a_density_of_nan_values_is_replaced(monkeypatch):
    """An estimate that is NaN is replaced by one colour."""
    monkeypatch.setattr("scipy.stats.gaussian_kde", lambda points: lambda at: np.full(at.shape[1], np.nan))
    assert density(TRUE, PREDICTED) == "tab:blue"


def test_the_scatter_says_that_its_points_are_moved():
    """A reader must not take the distance from the diagonal for the error."""
    axes = figures.new_figure(5, 5).subplots()
    bland_altman.draw_scatter(axes, TRUE, PREDICTED)
    assert "points moved at random, by 1 % of the range; brighter: denser" in {text.get_text() for text in axes.texts}


def test_jitter_is_seeded_and_leaves_the_global_generator_alone():
    """The same points every time, another generator untouched."""
    np.random.seed(3)
    state = np.random.get_state()[1].copy()
    first, again = jittered(TRUE, PREDICTED), jittered(TRUE, PREDICTED)
    assert np.array_equal(first[0], again[0]) and not np.array_equal(first[0], TRUE)
    assert np.array_equal(np.random.get_state()[1], state)


def test_a_plot_that_fails_is_a_warning(tmp_path, monkeypatch, caplog):
    """A broken drawing function costs that plot, is named, and the other plot is written."""

    def fail(*_):
        raise RuntimeError("no ink")

    monkeypatch.setattr(bland_altman, "draw_scatter", fail)
    with caplog.at_level(logging.WARNING):
        written = plots(TRUE, PREDICTED, tmp_path, "x")
    assert [path.suffix for path in written] == [".pdf", ".png"]
    assert "x_FFT_BlandAltman_ScatterPlot could not be drawn (RuntimeError: no ink)" in caplog.text


def test_equal_data_gives_equal_files(tmp_path):
    """No date or version inside."""
    for name in ("one", "two"):
        plots(TRUE, PREDICTED, tmp_path / name, "x")
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert first == second and len(first) >= 4


def test_no_backend_is_chosen():
    """Drawing neither imports pyplot nor leaves a figure open."""
    code = (
        "import sys; from evaluation import figures; figures.new_figure(1, 1).add_subplot();"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert figures.attempt("x", lambda: 3) == 3
