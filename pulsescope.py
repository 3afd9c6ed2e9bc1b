"""PulseScope from Python: `measure` answers for videos, `Session` for frames as they come, `open_run` opens a run.

from pulsescope import measure
print(measure("clip.mp4").heart_rate)
"""

from evaluation.consensus import Answer
from evaluation.opened import Run, open_run
from unsupervised_methods.door import measure
from unsupervised_methods.live.session import Session

__all__ = ["Answer", "Run", "Session", "measure", "open_run"]
