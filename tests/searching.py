"""Properties that hold for whatever a stranger sends: searched for a moment in `make test`, for a minute in the other.

@pytest.mark.parametrize("effort", EFFORTS)
def test_any_text_is_shown(effort):
    def holds(text): ...
    search(holds, effort, 100, text=st.text())
"""

import time
from collections.abc import Callable
from itertools import count

import hypothesis
import pytest
from hypothesis.strategies import SearchStrategy

EFFORTS = ["short", pytest.param("long", marks=pytest.mark.slow)]
SECONDS = 40  # of one long search; all of them together take about ten minutes
BATCH = 300  # examples with one seed
QUIET = {"database": None, "deadline": None, "suppress_health_check": list(hypothesis.HealthCheck)}


def search(
    holds: Callable[..., None], effort: str, short: int = 0, batch: int = BATCH, **strategies: SearchStrategy
) -> None:
    """Call `holds` with values of the `strategies`: the same `short` sets of them each time, or others for SECONDS."""
    if effort == "short":
        hypothesis.settings(max_examples=short, derandomize=True, **QUIET)(hypothesis.given(**strategies)(holds))()
        return
    limit, tried, settings = time.monotonic() + SECONDS, 0, hypothesis.settings(max_examples=batch, **QUIET)
    for seed in count():
        if time.monotonic() > limit:
            break
        hypothesis.seed(seed)(settings(hypothesis.given(**strategies)(holds)))()
        tried += batch
    print(f"{tried} examples in {SECONDS} s")
