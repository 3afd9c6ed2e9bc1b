"""The page beside a recording: the live page's server, guard and style, and another script."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.websockets import WebSocket

from unsupervised_methods.live.guard import Place
from unsupervised_methods.live.protocol import RefusedError
from unsupervised_methods.live.server import FILES, Door, configuration, listener

FOLDER = Path(__file__).parent
TOLD_EVERY = 0.5  # s


class Monitor(Door):
    """Tells every open page what `seen` gives; pages have nothing to say."""

    files = {
        "": (FOLDER / "index.html", "text/html"),
        "recording.js": (FOLDER / "recording.js", "text/javascript"),
        "recording.css": (FOLDER / "recording.css", "text/css"),
        "page.css": FILES["page.css"],
    }
    tab = object

    def __init__(self, place: Place, seen: Callable[[], dict[str, Any]]):
        """`seen` is called from the server's thread."""
        super().__init__(place)
        self._seen = seen

    async def _talk(self, connection: WebSocket, tab: Any) -> None:
        while True:
            await self._tell(connection, self._seen())
            try:
                message = await asyncio.wait_for(connection.receive(), TOLD_EVERY)
            except asyncio.TimeoutError:
                continue
            if message["type"] == "websocket.disconnect":
                return
            raise RefusedError("this page has nothing to say")


class Page:
    """The server in a thread; `address` is what to open. OSError where the port is taken."""

    def __init__(self, seen: Callable[[], dict[str, Any]], port: int = 0):
        """Serve from now on."""
        self._listening = listener(port, "--page")
        place = Place(self._listening.getsockname()[1])
        self.address = place.address
        self._server = uvicorn.Server(configuration(Monitor(place, seen)))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(5.0)
        self._listening.close()
