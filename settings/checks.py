"""Checks of single values: each takes a value and returns what is wrong with it, or None.

A check that needs a registry holds the registry and asks it late, so that declaring a key imports nothing.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from yacs.config import CfgNode

from registry import Registry, did_you_mean
from settings.loaded import Check, Loaded, value_of
from settings.modes import mode_of


def one_of(*choices: Any) -> Check:
    """One of a few fixed values."""
    return lambda value: None if value in choices else not_known(value, choices)


def not_known(value: Any, choices: Iterable[Any]) -> str:
    """The problem with a `value` that is none of the `choices`."""
    hint = did_you_mean(value, choices)
    return f"is {value!r}.{hint} Known: {', '.join(repr(choice) if not choice else str(choice) for choice in choices)}."


def registered(registry: Registry) -> Check:
    """A name in `registry`, which is filled only when the check runs."""

    def check(value: Any) -> str | None:
        if not value:
            return f"is not set. Known: {', '.join(registry.names())}."
        if value in registry:
            return None
        return f"is {value!r}. {registry.hint(value)}"

    return check


def each(check: Check, filled: bool = False) -> Check:
    """`check` for every element of a list; `filled`: the list must have one."""

    def check_all(values: Any) -> str | None:
        if filled and not values:
            return "is empty: name at least one."
        return next((problem for problem in map(check, values or ()) if problem), None)

    return check_all


def between(low: float, high: float = math.inf, open_low: bool = False, open_high: bool = False) -> Check:
    """A finite number from `low` to `high`, ends included unless they are open."""
    left, right = "(" if open_low else "[", ")" if open_high or high == math.inf else "]"

    def check(value: Any) -> str | None:
        inside = isinstance(value, (int, float)) and math.isfinite(value) and low <= value <= high
        if inside and not (open_low and value == low) and not (open_high and value == high):
            return None
        if high == math.inf:
            return f"is {value!r}, but must be {'above' if open_low else 'at least'} {low}."
        return f"is {value!r}, but must lie in {left}{low}, {high}{right}."

    return check


def above(low: float) -> Check:
    """A finite number greater than `low`."""
    return between(low, open_low=True)


def at_least(low: float) -> Check:
    """A finite number not less than `low`."""
    return between(low)


# --- All checks of a run ---------------------------------------------------------------------------------------------


def run_checks(loaded: Loaded, checks: Mapping[str, Check]) -> None:
    """Every check of a key that this run reads; ConfigError for the first problem."""
    for pattern, check in checks.items():
        for key in _expanded(pattern, loaded.config):
            problem = check(value_of(loaded.config, key))
            if problem:
                raise loaded.error(key, problem)


def _expanded(pattern: str, config: CfgNode) -> Iterator[str]:
    """The key paths a pattern stands for in this run; `D` is the DATA node of each used section."""
    mode = mode_of(config)
    first, _, rest = pattern.partition(".")
    keys = [f"{section}.DATA.{rest}" for section in mode.used(config)] if first == "D" else [pattern]
    for key in keys:
        if mode.reads_key(key, config) and _is_declared(config, key):
            yield key


def _is_declared(config: CfgNode, key: str) -> bool:
    """Whether the run knows the key: those of a data set only where it is used."""
    try:
        value_of(config, key)
    except KeyError:
        return False
    return True
