"""The page of answers and the waves beside it, as files in the folder of a run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dataset.store.cache import safe_name
from evaluation import figures, tables
from evaluation.consensus import Answer
from evaluation.view import View, waveform
from evaluation.vitals_page import page

PAGE = "vitals.html"


def write_page(
    folder: Path,
    title: str,
    answers: Sequence[Answer],
    views: Mapping[str, View],
    failed: Mapping[str, str],
    sentence: Callable[[Answer], str],
    beside: str,
) -> Path | None:
    """Write the page and the wave of every recording in `views`; the page's path, or None where it cannot be drawn."""
    path = folder / PAGE
    path.unlink(missing_ok=True)  # of an earlier run: it must not stand for this one
    for one in answers:
        if one.id in views:
            tables.write_text(folder / "waveforms" / f"{safe_name(one.id)}.csv", waveform(views[one.id]))
    text = figures.attempt(PAGE, page, title, answers, views, failed, sentence, beside)
    return None if text is None else tables.write_text(path, text)


def say_page(folder: Path) -> None:
    """Print where the page is, where there is one."""
    if (folder / PAGE).is_file():
        print(f"Page: {folder / PAGE}")
