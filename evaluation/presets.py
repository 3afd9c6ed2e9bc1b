"""Named ways to turn waves into numbers. A table always says which one made it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from registry import did_you_mean

PATH = "path"  # the estimator of evaluation/path.py, for the pulse under `exact`
SUMMED = 100.0  # strength of detrending at 30 samples per second for waves that are summed up
WELCH = "welch"
AUTO = "auto"  # the pulse wave's spectrum, else that of a wave made of the ECG's beats
SOURCES = (AUTO, "ppg spectrum", "ppg beats", "ecg beats", "rate column")  # what INFERENCE.REFERENCE may say
OWN, NEUROKIT = "own", "neurokit2"
FINDERS = (OWN, NEUROKIT)  # of beats: what INFERENCE.BEATS may say
METHODS = ("FFT", "peak detection", WELCH, PATH)  # what INFERENCE.EVALUATION_METHOD may say


@dataclass(frozen=True)
class Preset:
    """One way to evaluate.

    `band` (Hz) of the filter and of the search; `detrend` strength, at any rate as in rPPG-Toolbox; `reference`:
    "label" reads the true rate off the (transformed) training label at the prediction's rate, "native"
    off the recording's own reference signal inside the window's time span.
    """

    name: str
    band: tuple[float, float]
    reference: str  # "label" | "native"
    filter_order: int = 1
    detrend: float = 100.0
    flat: bool = False  # filter and detrending follow band and rate: all of the band passes, within 1 dB
    spectral_peak: bool = False  # the interpolated estimator instead of INFERENCE.EVALUATION_METHOD
    min_seconds: float = 0.0  # shorter windows are listed, not evaluated
    whole_label: bool = False  # a prediction shorter than its label leaves the label whole (CHROM)
    refractory: float = 0.0  # s between beats in peak detection
    unit: str = "bpm"  # of the rates: beats, or breaths, per minute
    source: str = AUTO  # of SOURCES: what a `native` reference is
    fixed: str = ""  # the estimator of its authors, whatever INFERENCE.EVALUATION_METHOD says
    bar: float = 0.0  # % of mean absolute percentage error that a standard allows each person; 0: none
    beats: str = OWN  # of FINDERS: who finds the beats of an answer's rhythm
    widened: bool = False  # limits of agreement are sqrt(2) too wide, as rPPG-Toolbox draws them

    @property
    def reference_words(self) -> str:
        """What the true rate is read off."""
        if self.reference != "native":
            return "label at the frames"
        return "the recording's own signal" if self.source == AUTO else f"the recording's own {self.source}"

    def summed(self, fs: float) -> "Preset":
        """This preset for a wave at `fs` (Hz) that is summed up from differences.

        The sum divides by frequency: noise of the differences becomes drift that outweighs the pulse, however flat the
        filter behind it. So the pulse gets the steeper way out of it that rPPG-Toolbox takes, at any rate alike.
        """
        if not self.flat or self.unit != "bpm":
            return self
        return replace(self, flat=False, filter_order=1, detrend=SUMMED * (fs / 30.0) ** 2)

    def estimator(self, method: str) -> str:
        """The name of the estimator that runs when INFERENCE.EVALUATION_METHOD is `method`."""
        if self.follows(method):
            return PATH
        return "spectral peak" if self.spectral_peak else self.fixed or method

    def follows(self, method: str) -> bool:
        """Whether rates come from the best path through the recording; windows are read independently otherwise.

        ValueError where rPPG-Toolbox's numbers are asked for by an estimator that it does not have.
        """
        if method == PATH and not self.spectral_peak:
            raise ValueError(
                f"INFERENCE.EVALUATION_METHOD is {PATH!r}, which rPPG-Toolbox does not have, and INFERENCE.PRESET is "
                f"{self.name!r}. Set INFERENCE.PRESET: exact."
            )
        return method == PATH and self.unit == "bpm"


EXACT = Preset("exact", (0.6, 3.3), "native", filter_order=4, flat=True, spectral_peak=True, min_seconds=5.0)
PRESETS = {
    "toolbox": Preset("toolbox", (0.6, 3.3), "label", whole_label=True, widened=True),
    "neurips2023": Preset("neurips2023", (0.75, 2.5), "label", widened=True),
    "rhythmformer": Preset("rhythmformer", (0.75, 2.5), "label", fixed=WELCH),
    "exact": EXACT,
    "cta2065": replace(EXACT, name="cta2065", bar=10.0),
}


def preset(name: str, band: Sequence[float] = (), source: str = AUTO) -> Preset:
    """The preset called `name`, with `band` (Hz: low, high) in place of its own when given, and truth from `source`.

    Presets that read the truth off the label leave `source` aside: they are rPPG-Toolbox's.
    """
    if name not in PRESETS:
        known = ", ".join(PRESETS)
        raise ValueError(f"INFERENCE.PRESET is {name!r}.{did_you_mean(name, PRESETS)} Known: {known}.")
    found = PRESETS[name]
    found = replace(found, source=source) if found.reference == "native" else found
    if not len(band):
        return found
    if len(band) != 2 or not 0 < band[0] < band[1]:
        raise ValueError(
            f"INFERENCE.HR_BAND is {list(band)}: give two frequencies in Hz, low first, such as [0.6, 3.3]."
        )
    return replace(found, band=(float(band[0]), float(band[1])))


def presets(name: str, band: Sequence[float] = (), source: str = AUTO) -> list[Preset]:
    """What a run evaluates: `exact` first, then the preset `name` unless it is the same."""
    chosen = preset(name, band, source)
    return [chosen] if name == "exact" else [preset("exact", band, source), chosen]
