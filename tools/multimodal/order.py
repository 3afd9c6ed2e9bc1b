"""The times of a device as they come: only later ones are kept, and a clock that runs away is told."""

from tools.multimodal.device import DeviceError, Noted, Sample

AWAY = 500.0  # ms between a device's clock and this computer's, since the first sample, that are no drift any more
LATE = 1.5  # periods between two samples from which at least one is missing
GIVEN_UP = 30  # samples in a row with a time that is not later: the clock was set back


class ClockError(DeviceError):
    """A device's clock was set back; what comes after cannot be put in order."""


class Order:
    """Whether each sample is later than the one before, and how far the device's clock has run from the host's."""

    def __init__(self, noted: Noted, rate: float = 0.0):
        """Problems are counted and told in `noted`; `rate`: samples per second, by which missing ones are counted."""
        self._noted, self._rate, self._last, self._refused = noted, rate, None, 0
        self._first, self._away, self.offset_ms = 0, False, 0.0

    def keep(self, sample: Sample) -> bool:
        """Whether `sample` may be written; ClockError once GIVEN_UP in a row may not."""
        if self._last is None:
            self._first = sample.t_device_ns - sample.t_host_ns
        elif not self._is_later(sample):
            return False
        else:
            self._count_missing(sample)
        self._last, self._refused = sample, 0
        self.offset_ms = (sample.t_device_ns - sample.t_host_ns - self._first) / 1e6
        self._tell_away()
        return True

    def _is_later(self, sample: Sample) -> bool:
        last = self._last
        if sample.t_device_ns > last.t_device_ns and sample.t_host_ns > last.t_host_ns:
            return True
        doubled = sample.t_device_ns == last.t_device_ns or sample.t_host_ns == last.t_host_ns
        self._noted.counts["doubled stamp" if doubled else "backward stamp"] += 1
        if not self._refused:
            self._noted.event(
                "sample with a doubled stamp left out" if doubled else "sample with a backward stamp left out"
            )
        self._refused += 1
        if self._refused >= GIVEN_UP:
            raise ClockError(
                f"its clock was set from {last.t_device_ns / 1e9:.3f} s back to {sample.t_device_ns / 1e9:.3f} s; "
                "samples after that cannot be put in order"
            )
        return False

    def _count_missing(self, sample: Sample) -> None:
        """By the device's clock: what the network, the driver or the device itself left out."""
        steps = (sample.t_device_ns - self._last.t_device_ns) * self._rate / 1e9
        if steps > LATE:
            self._noted.counts["missing"] += round(steps) - 1

    def _tell_away(self) -> None:
        away = abs(self.offset_ms) > (AWAY / 2 if self._away else AWAY)  # told once, not at every late sample
        if away and not self._away:
            self._noted.event(f"clock off by {self.offset_ms:+.0f} ms since the first sample")
            self._noted.counts["clock off"] += 1
        self._away = away
