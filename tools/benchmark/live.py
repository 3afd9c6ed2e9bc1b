"""The live page for minutes: rate, delay, memory, CPU: python -m tools.benchmark.live --minutes 10

Serves the page as `--live` does and opens it in Chromium without a screen, whose camera is a rendered person of 66 bpm,
320 x 240 at 30 pictures per second, in a loop. Looks every 10 s. Needs the extra `live` and a Chromium.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.live_tools import BPM, browser, fake_camera, served, until

EVERY = 10.0  # s between two looks
NEAR = 3.0  # bpm
WARM = 60.0  # s until all that is kept has come: what memory grows by is counted from there


@dataclass(frozen=True)
class Look:
    """At one moment: the rate that the page shows (None: none), its delays (ms), memory (MB), pictures per second."""

    seconds: float
    rate: float | None
    delays: list[float]
    server: float
    page: float
    fps: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was seen, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--method", default="POS", help="who measures; POS: the classical methods together")
    asked = parser.parse_args(arguments)
    more = [] if asked.method == "POS" else ["--method", asked.method]
    with tempfile.TemporaryDirectory() as folder, served(*more) as (process, address):
        with browser(fake_camera(Path(folder) / "person.y4m")) as chromium:
            page, begin = chromium.open(address), time.monotonic()
            page.click("start")
            until(lambda: page.text("bpm").isdigit(), 120)
            first = time.monotonic() - begin
            server, others = psutil.Process(process.pid), psutil.Process(chromium.process.pid)
            before, since = (_cpu(server), _cpu(others)), time.monotonic()
            looks = []
            for one in watch(page, server, begin, 60 * asked.minutes):
                looks.append(one)
                rate = "none" if one.rate is None else f"{one.rate:.0f}"
                median = statistics.median(one.delays) if one.delays else float("nan")
                print(
                    f"{one.seconds:5.0f} s  {rate:>4} bpm  {median:4.0f} ms  {one.server:6.1f} MB  {one.fps}",
                    flush=True,
                )
            spent = [100 * (now - then) / (time.monotonic() - since)
                     for now, then in zip((_cpu(server), _cpu(others)), before, strict=True)]  # fmt: skip
    print(f"\n{report(looks, first, spent)}")


def watch(page: object, server: psutil.Process, begin: float, seconds: float) -> Iterator[Look]:
    """A look at the page and at what the server holds every 10 s."""
    while time.monotonic() - begin < seconds:
        time.sleep(EVERY)
        page.events.clear()
        page.call("HeapProfiler.collectGarbage")
        shown, numbers = page.text("bpm"), page.text("numbers")
        yield Look(
            time.monotonic() - begin,
            float(shown) if shown.isdigit() else None,
            page.run("run.delays"),
            server.memory_full_info().uss / 1e6,
            page.run("performance.memory.usedJSHeapSize") / 1e6,
            numbers.split(",")[0],
        )


def report(looks: Sequence[Look], first: float, spent: Sequence[float]) -> str:
    """The figures as sentences."""
    delays = sorted(one for look in looks for one in look.delays)
    near = sum(look.rate is not None and abs(look.rate - BPM) <= NEAR for look in looks)
    warm = [look for look in looks if look.seconds >= WARM] or list(looks)
    held, heap = [look.server for look in warm], [look.page for look in warm]
    thirds = max(1, len(warm) // 3)
    quantiles = [delays[min(len(delays) - 1, int(share * len(delays)))] for share in (0.5, 0.95, 0.99, 1.0)]
    return "\n".join(
        [
            f"* First rate after {first:.1f} s. {near} of {len(looks)} looks within {NEAR:g} bpm of {BPM:g}.",
            "* From picture to plot: median {:.0f} ms, 95 % below {:.0f}, 99 % below {:.0f}, at most {:.0f} ms.".format(
                *quantiles
            ),
            f"* CPU of a core: server {spent[0]:.0f} %, Chromium {spent[1]:.0f} %.",
            f"* Memory after the first minute: server {min(held):.0f} to {max(held):.0f} MB (median of the first third "
            f"{statistics.median(held[:thirds]):.1f}, of the last {statistics.median(held[-thirds:]):.1f}), page "
            f"{min(heap):.1f} to {max(heap):.1f} MB.",
        ]
    )


def _cpu(process: psutil.Process) -> float:
    """Seconds that a process and those it started have used."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            total += sum(one.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main()
