"""Between the recorder and the process of one device: packets that never make either wait.

What a device's process tells may be dropped when nobody listens, all but its last words and its events: those it says
again. The end of the other side ends the link, however it ended.
"""

import contextlib
import json
import socket
from typing import Any

LARGEST = 1 << 17  # bytes of a packet: a region's pixels or a small picture
ROOM = 1 << 20  # bytes that may wait


class Link:
    """One end. `gone` once the other end is closed."""

    def __init__(self, end: socket.socket):
        """Take over the socket `end`."""
        self._end, self.gone = end, False
        end.setblocking(False)
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)

    def fileno(self) -> int:
        """For `select`."""
        return self._end.fileno()

    def tell(self, **what: Any) -> bool:
        """Send `what`; False where it was dropped."""
        return self.send(json.dumps(what, separators=(",", ":")).encode())

    def send(self, data: bytes) -> bool:
        """Send bytes that are no JSON object (they begin with no brace); False where they were dropped."""
        try:
            self._end.send(data)
        except BlockingIOError:
            return False
        except OSError:  # the other side is gone, or the packet is too large
            return False
        return True

    def heard(self) -> list[dict[str, Any] | bytes]:
        """Everything that has come."""
        found: list[dict[str, Any] | bytes] = []
        while not self.gone:
            try:
                data = self._end.recv(LARGEST)
            except BlockingIOError:
                break
            except ConnectionResetError:  # it ended without having read all; what it said before is still to be read
                continue
            except OSError:
                data = b""
            if data:
                found.append(json.loads(data) if data.startswith(b"{") else data)
            self.gone = not data
        return found

    def close(self) -> None:
        """End this side."""
        self.gone = True
        self._end.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends; packets keep their borders."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
