"""A picture says what it is of, and a report where the files lie that rPPG-Toolbox's scripts look for."""

import re
from urllib.parse import unquote

from matplotlib.figure import Figure

from dataset.files.names import plural, span
from evaluation.pictures import about, errors, methods
from evaluation.presets import PRESETS
from evaluation.report import add_links
from evaluation.summary import evaluate
from neural_methods.plots import training_plots
from tests.evaluation_data import recording


class Curves:
    """What a training leaves for its plots: three epochs of two updates."""

    def epoch_losses(self, term="loss"):
        """One value an epoch."""
        return [3.0, 2.0, 1.0]

    def terms(self):
        """The loss alone."""
        return ["loss"]

    def validation(self):
        """None."""
        return []

    def learning_rates(self):
        """One an update."""
        return [0.1] * 6


def _drawn(monkeypatch):
    """The figures that are saved from now on."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: figures.append(self))
    return figures


def test_epochs_on_the_axis_are_whole_and_the_title_says_what_was_trained(tmp_path, monkeypatch):
    """No epoch 0.25; the name of the weights, the method, how many clips."""
    figures = _drawn(monkeypatch)
    training_plots(Curves(), tmp_path, "net", "Physnet, 6 clips of 2 recordings, s1 to s2")
    assert len(set(figures)) == 2
    for figure in figures:
        figure.canvas.draw()
        (axes,) = figure.axes
        assert all(float(tick).is_integer() for tick in axes.get_xticks())
        assert "net\nPhysnet, 6 clips of 2 recordings, s1 to s2" in axes.get_title()


def test_pictures_of_a_report_name_recordings_subjects_and_preset(tmp_path, monkeypatch):
    """Also where the picture is passed on without its caption."""
    one = evaluate("POS", [recording(70, name="s2"), recording(90, name="s10")], [PRESETS["exact"]], metrics=["MAE"])
    figures = _drawn(monkeypatch)
    for draw in (methods, errors):
        draw(tmp_path / "x.png", one)
    assert about(one) == "2 recordings, s2 to s10; 2 windows of 2 subjects; preset exact"
    assert [figure.axes[0].get_title() for figure in figures] == [about(one)] * 2


def test_a_report_links_the_folders_that_are_there(tmp_path):
    """Relative to the report, with spaces and brackets in names; what was not written is not named."""
    report, there = tmp_path / "runs" / "x-1" / "report.md", tmp_path / "my data (1)" / "bland_altman_plots"
    for folder in (report.parent, there):
        folder.mkdir(parents=True)
    report.write_text("# X\n")
    add_links(report, [("Bland-Altman plots", there), ("waves", tmp_path / "absent")])
    ((link,),) = [re.findall(r"\(<(.*)>\)", line) for line in report.read_text().splitlines() if line.startswith("- ")]
    assert (report.parent / unquote(link)).resolve() == there.resolve()


def test_one_is_not_many():
    """`1 recording`, and a span of one is its name."""
    assert [plural(count, "recording") for count in (0, 1, 2)] == ["0 recordings", "1 recording", "2 recordings"]
    assert span(["s10", "s9"]) == "s9 to s10" and span(["s1"]) == "s1"
