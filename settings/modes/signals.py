"""The mode of contact sensors: a rate, breathing and variability for each file, without a cache."""

from registry import MODES
from settings.modes import Mode

MODES.register("signal")(
    Mode(
        "signal",
        (),
        run="unsupervised_methods.signals:run",
        reads=("SIGNAL", "INFERENCE"),
        title=lambda config: "signals",
    )
)
