"""The drivers on hardware that is not there: the same code as for real devices reads it. To rehearse and to test."""

from typing import Any

from tools.multimodal.device import DEVICES
from tools.multimodal.devices.cms50 import Cms50
from tools.multimodal.devices.dca1000 import Dca1000
from tools.multimodal.devices.microcontroller import Microcontroller
from tools.multimodal.devices.uvc import UvcCamera
from tools.multimodal.devices.y16 import Y16Camera
from tools.multimodal.simulated.body import CLOCK


@DEVICES.register("simulated rgb")
class SimulatedCamera(UvcCamera):
    """A face in front of a webcam."""

    OPTIONS = {**UvcCamera.OPTIONS, **CLOCK, "settle_s": 0.5, "exposure_ms": 10.0}

    def open(self) -> None:
        """Its times are those of the frames' exposure."""
        from tools.multimodal.simulated.cameras import FaceCamera

        self.opener = lambda name: FaceCamera(self.options)
        super().open()

    def describe(self) -> dict[str, Any]:
        """Times are of the middle of the exposure already."""
        return super().describe() | {"delay_ns": 0, "simulated": True}


@DEVICES.register("simulated thermal")
class SimulatedThermal(Y16Camera):
    """That face, warm."""

    OPTIONS = {**Y16Camera.OPTIONS, **CLOCK, "ppm": 35.0, "ffc_s": 0.0, "frozen_from": 0}

    def open(self) -> None:
        """A Lepton with a clock of its own."""
        from tools.multimodal.simulated.cameras import Lepton

        self.opener = lambda name: Lepton(self.options)
        super().open()


@DEVICES.register("simulated radar")
class SimulatedRadar(Dca1000):
    """A chest, over UDP on the loopback."""

    OPTIONS = {**Dca1000.OPTIONS, **CLOCK, "host": "127.0.0.1", "board": "127.0.0.1", "chirps": 8, "ppm": -25.0}

    def open(self) -> None:
        """Start the board."""
        from tools.multimodal.simulated.board import Board, free_port

        self.options |= {"data_port": free_port(), "command_port": 0}
        self._board = Board(self.options)
        self.options["board_port"] = self._board.port
        super().open()

    def stop(self) -> None:
        """End the board, too."""
        super().stop()
        if hasattr(self, "_board"):
            self._board.end()


@DEVICES.register("simulated ppg")
class SimulatedController(Microcontroller):
    """Wave, mark and belt, on a pseudo-terminal."""

    OPTIONS = {**Microcontroller.OPTIONS, **CLOCK, "columns": "value,mark,resp", "ppm": 60.0}

    def open(self) -> None:
        """Start the board."""
        from tools.multimodal.simulated.serial import Controller

        self._serial = Controller(self.options)
        self.options["port"] = self._serial.path
        super().open()

    def stop(self) -> None:
        """End it, too."""
        super().stop()
        if hasattr(self, "_serial"):
            self._serial.end()


@DEVICES.register("simulated oximeter")
class SimulatedOximeter(Cms50):
    """A CMS50 on a pseudo-terminal."""

    OPTIONS = {**Cms50.OPTIONS, "speaks": "new"}

    def open(self) -> None:
        """Start it."""
        from tools.multimodal.simulated.serial import Oximeter

        if not hasattr(self, "_serial"):
            self._serial = Oximeter(self.options["hz"], self.options["speaks"])
        self.options["port"] = self._serial.path
        super().open()
