"""The mode of classical methods."""

from registry import MODES
from settings.modes import Mode

MODES.register("unsupervised_method")(
    Mode(
        "unsupervised_method",
        ("UNSUPERVISED",),
        run="unsupervised_methods.run:run",
        output=("UNSUPERVISED", "saved_outputs"),
        reads=("UNSUPERVISED", "INFERENCE"),
        video="UNSUPERVISED",
    )
)
