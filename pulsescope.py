"""PulseScope from Python: `measure` answers for videos, `Session` for frames as they come, `open_run` opens a run.

from pulsescope import measure
print(measure("clip.mp4").heart_rate)
"""

from evaluation.consensus import Answer
from evaluation.opened import Run, open_run
from unsupervised_methods.door import measure, silent
from unsupervised_methods.live import session

__all__ = ["Answer", "Run", "Session", "measure", "open_run"]


class Session(session.Session):
    """Frames as they come: `push(frame, seconds)` gives the current answer; see `unsupervised_methods.live.session`."""

    def __init__(
        self, detector: str = "HC", band: tuple[float, float] | tuple[()] = (), method: str = "", weights: str = ""
    ):
        """`detector`, `band`: as CROP_FACE.BACKEND and INFERENCE.HR_BAND. `method`, `weights`: as of `--live`.

        KeyError and ValueError for others, ImportError where a network's package is missing.
        """
        super().__init__(detector, band, _voter(method, weights) if method or weights else None)


def _voter(method: str, weights: str) -> session.Voter:
    from neural_methods.chosen import live

    with silent():
        return live(method, weights)
