"""What is to be recorded: a YAML file that names the devices, or the four simulated ones.

    devices:
      rgb:     {driver: uvc camera, device: /dev/video0, width: 640, height: 480, fps: 30.0}
      thermal: {driver: uvc y16, device: /dev/video2}
      radar:   {driver: dca1000, cli: /dev/ttyACM0, config: profile.cfg}
      ppg:     {driver: cms50, port: /dev/ttyUSB0}
    scenario: {light: office, motion: still, exercise: none}
    thermal_to_rgb: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]

The name before each device is its folder. `rgb`, `thermal`, `radar` and `ppg` are what the other tools read; further
sensors take any other name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dataset.files.names import shown
from dataset.files.reading import read_text
from dataset.multimodal.bursts import PERIOD
from tools.multimodal.device import DEVICES, checked, host_ns

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
KEYS = ("devices", "scenario", "thermal_to_rgb")
MOST_DEVICES = 16


@dataclass(frozen=True)
class Setup:
    """Devices by name (`driver` and its options), and what meta.json says beside them."""

    devices: Mapping[str, Mapping[str, Any]]
    meta: Mapping[str, Any] = field(default_factory=dict)


def simulated(every_s: float = PERIOD) -> Setup:
    """Four devices that are not there, with marks that all of them see every `every_s`."""
    clock = {"first_ns": host_ns() + 10_000_000_000, "every_s": every_s}
    devices = {name: {"driver": f"simulated {name}", **clock} for name in ("rgb", "thermal", "radar", "ppg")}
    devices["marks"] = {"driver": "sync marks", **clock}
    scenario = {"light": "simulated", "motion": "still", "exercise": "none"}
    return Setup(checked_devices(devices), {"scenario": scenario, "thermal_to_rgb": [[4, 0, 0], [0, 4, 0], [0, 0, 1]]})


def read_setup(path: Path) -> Setup:
    """The setup in a YAML file; ValueError names the file and the entry that cannot be meant."""
    try:
        values = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise ValueError(f"'{path}' is no YAML file: {str(error).splitlines()[0]}.") from None
    if not isinstance(values, dict) or not isinstance(values.get("devices"), dict):
        raise ValueError(f"'{path}' has no table `devices`: a name for each, its driver and its settings.")
    unknown = [str(key) for key in values if key not in KEYS]
    if unknown:
        raise ValueError(f"'{path}' has {shown(unknown[0])}, which is none of {', '.join(KEYS)}.")
    try:
        return Setup(checked_devices(values.pop("devices")), values)
    except (ValueError, KeyError) as error:
        raise ValueError(f"'{path}': {error.args[0]}") from None


def checked_devices(devices: Mapping[Any, Any]) -> dict[str, dict[str, Any]]:
    """The devices, each with a name that can be a folder, a known driver and settings that this driver has."""
    if not 0 < len(devices) <= MOST_DEVICES:
        raise ValueError(f"{len(devices)} devices; 1 to {MOST_DEVICES} can be recorded.")
    found = {}
    for name, one in devices.items():
        require_name(str(name), "A device")
        if not isinstance(one, dict) or "driver" not in one:
            raise ValueError(f"the device {name} needs a table with its `driver`: one of {', '.join(DEVICES.names())}.")
        options = {key: value for key, value in one.items() if key != "driver"}
        checked(f"{name} ({one['driver']})", DEVICES[one["driver"]].OPTIONS, options)
        found[str(name)] = {"driver": one["driver"], "options": options}
    return found


def require_name(name: str, what: str) -> str:
    """`name` where it can be a folder's on any computer; ValueError otherwise."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{what} is called {shown(name)}; letters, digits, - and _ are allowed, 64 of them at most.")
    return name
