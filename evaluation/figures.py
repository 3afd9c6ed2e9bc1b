"""Figures without pyplot: no backend is chosen, nothing stays open, and a plot that fails never ends a run."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


def new_figure(width: float, height: float, **options: Any) -> Any:
    """A matplotlib figure of `width` x `height` inches that belongs to nobody but the caller."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), **options)


def save(figure: Any, path: Path, dpi: int = 100) -> Path:
    """Write `figure` in the format of the suffix of `path`; free of dates, so equal data gives equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dates = {"CreationDate": None} if path.suffix == ".pdf" else {"Software": None}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a name in letters that no font here has
        figure.savefig(path, dpi=dpi, metadata=dates)
    return path


def attempt(what: str, draw: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The result of `draw`, or None and a warning that names `what` when it fails."""
    try:
        return draw(*arguments, **options)
    except Exception as error:  # a plot is never worth a run
        logger.warning(
            "%s could not be drawn (%s: %s). The numbers are not affected.", what, type(error).__name__, error
        )
        return None
