"""SIGNAL: files of contact sensors whose rate is asked for."""

from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from settings.checks import at_least, one_of
from settings.loaded import Check, Owner

TIME_UNITS = ("s", "ms", "us", "ns", "min")


def declare_signal(tree: CfgNode) -> None:
    """Enter the node."""
    node = CfgNode()
    node.FILES = []  # tables, WFDB headers, EDF files, or folders of them (--signal)
    node.FS = 0.0  # Hz of tables without times (--fs)
    node.CHANNEL = ""  # name of the column or lead; '': the clearest
    node.TIME_UNIT = "s"  # of times whose column does not say it: s, ms, us, ns or min
    tree.SIGNAL = node


def files(value: Any) -> str | None:
    """Paths that exist."""
    missing = [str(name) for name in value if not Path(str(name)).exists()]
    return f"names {', '.join(missing)}: no such file or folder." if missing else None


CHECKS: dict[str, Check] = {
    "SIGNAL.FILES": files,
    "SIGNAL.FS": at_least(0),
    "SIGNAL.TIME_UNIT": one_of(*TIME_UNITS),
}

SIGNAL = Owner(declare_signal, lambda: CHECKS, later=("SIGNAL",))
