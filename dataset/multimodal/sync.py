"""When each sample was truly taken: drift from all stamps, offset from the bursts, and how sure both are."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from dataset.multimodal import bursts, clocks
from dataset.multimodal.layout import Session, Stamps

IMAGES, SIGNALS = 0.016, 0.010  # s: largest residual of cameras, and of radar and PPG
LIMITS = {"rgb": IMAGES, "thermal": IMAGES, "radar": SIGNALS, "ppg": SIGNALS}
LARGEST_OFFSET = 0.5  # s: clocks further apart are an error
AROUND = bursts.LARGEST_OFFSET + 0.3  # s before and after a burst that are looked at

Series = Callable[[int, int], np.ndarray]  # first sample, sample after the last -> (n, K)


@dataclass(frozen=True)
class Synced:
    """The clock of one device against the computer's.

    offset      s by which its host stamps come late; NaN: no burst was seen
    spread      s, standard deviation of the offset
    drift_ppm   of its own clock, above 0 where it runs fast
    residual    s, 95 % of the stamps lie nearer to their line
    marks       offset seen in each burst, None: not seen
    column      which of the series showed the bursts
    problem     "", or why the clock is not trusted
    """

    device: str
    line: clocks.Line
    delay: float
    offset: float
    drift_ppm: float
    residual: float
    marks: list[float | None] = field(default_factory=list)
    spread: float = float("nan")
    column: int = -1
    problem: str = ""

    def times(self, device_ns: np.ndarray) -> np.ndarray:
        """True host times (n,) float64 ns of the middle of each exposure."""
        offset = 0.0 if np.isnan(self.offset) else self.offset
        return self.line.host(device_ns) + 1e9 * (self.delay - offset)

    def said(self) -> dict[str, Any]:
        """Plain values for meta.json."""
        kept = {k: v for k, v in asdict(self).items() if k not in ("line", "device")}
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in kept.items()}


def windows(stamps: Stamps, marks: np.ndarray) -> list[tuple[int, int]]:
    """(first sample, sample after the last) of each burst at `marks` (n,) ns, as the device's host stamps have it."""
    first = np.searchsorted(stamps.host, marks - round(1e9 * AROUND))
    last = np.searchsorted(stamps.host, marks + round(1e9 * (bursts.SECONDS + AROUND)))
    return list(zip(first.tolist(), last.tolist(), strict=True))


def synchronise(session: Session, device: str, stamps: Stamps, series: Series) -> Synced:
    """Line and offset of `device`; `series` gives what could show a burst: (n, K) values of a stretch of samples.

    ValueError when its stamps cannot be compared at all.
    """
    line = clocks.fit(stamps.device, stamps.host)
    delay = session.meta.delay_ns(device) / 1e9
    marks = session.syncs()
    seen = [
        _seen(line, stamps.device[first:last], series(first, last), mark, delay) if last - first > 1 else None
        for mark, (first, last) in zip(marks, windows(stamps, marks), strict=True)
    ]
    found = [one for one in seen if one is not None]
    offset, spread = _offset(found)
    problem = _problem(device, line, stamps, [one.offset for one in found], len(marks), offset)
    return Synced(
        device, line, delay, offset, 1e6 * (1 / (1 + line.drift) - 1), line.residual_95,
        [None if one is None else one.offset for one in seen], spread,
        found[0].column if found else -1, problem,
    )  # fmt: skip


def _seen(line: clocks.Line, device_ns: np.ndarray, series: np.ndarray, mark: int, delay: float) -> bursts.Seen | None:
    since = (line.host(device_ns) - float(mark)) / 1e9 + delay
    return bursts.find(since, series, width=2 * abs(delay))


def _offset(found: Sequence[bursts.Seen]) -> tuple[float, float]:
    """Offset and its spread from all bursts: the drift is known, so their mean by spread, without those far off."""
    if not found:
        return float("nan"), float("nan")
    offsets, spreads = (np.array([getattr(one, name) for one in found]) for name in ("offset", "spread"))
    near = np.abs(offsets - np.median(offsets)) <= np.maximum(0.02, 5 * spreads)
    near = near if near.any() else np.ones(len(found), bool)
    weights = 1 / np.maximum(spreads[near], 1e-4) ** 2
    return float(weights @ offsets[near] / weights.sum()), float(weights.sum() ** -0.5)


def _problem(device: str, line: clocks.Line, stamps: Stamps, seen: Sequence[float], given: int, offset: float) -> str:
    limit = LIMITS[device]
    set_at = clocks.steps(stamps.device, stamps.host)
    if set_at:
        return f"one of its clocks was set by {set_at[0][1]:+.2f} s at sample {set_at[0][0]}"
    if not seen:
        return f"none of {given} bursts was seen" if given else "there is no mark in events.csv"
    if abs(offset) > LARGEST_OFFSET:
        return f"its clock is {1000 * offset:+.0f} ms off, more than {1000 * LARGEST_OFFSET:.0f} ms"
    apart = float(np.max(np.abs(np.asarray(seen) - offset)))
    if apart > limit:
        return f"its bursts lie up to {1000 * apart:.1f} ms beside their offset, more than {1000 * limit:.0f} ms"
    if line.residual_95 > limit:
        late = 1000 * line.residual_95
        return f"5 % of its stamps lie {late:.1f} ms or more beside their line, {1000 * limit:.0f} ms may be"
    return ""
