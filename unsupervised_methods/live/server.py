"""The live page's server: three files and a websocket, on this machine only; it keeps and passes on nothing.

All tabs share one thread that measures and one that looks for faces, which takes long: no detector runs twice at once.
A message is read when the one before it is answered, and a tab has one picture looked at at a time: nothing piles up
here, and a page that sees no answer sends less.
"""

import asyncio
import contextlib
import errno
import json
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from unsupervised_methods.live.guard import HOST, Place
from unsupervised_methods.live.protocol import MOST_BYTES, RefusedError
from unsupervised_methods.live.tab import Tab
from unsupervised_methods.live.voters import Voter

PAGE = Path(__file__).parent / "page"
FILES = {
    "": (PAGE / "index.html", "text/html"),
    "page.js": (PAGE / "page.js", "text/javascript"),
    "page.css": (PAGE / "page.css", "text/css"),
}
MOST_TABS = 8  # open at once: each holds a few megabytes and a share of one core
STALLED = 10.0  # s that a page may leave an answer unread
CONNECTIONS = 64  # at once
REFUSED, FULL = 1008, 1013  # close codes: policy violation, try again later
Send = Callable[[dict[str, Any]], Awaitable[None]]


def serve(port: int = 0, voter: Voter | None = None) -> None:
    """Serve the page on `port` (0: any that is free) until Ctrl+C, measured by `voter`; OSError: the port is taken."""
    with listener(port, "--live") as listening:
        place = Place(listening.getsockname()[1])
        print(f"Live page: {place.address}\n{WORDS}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(configuration(Door(place, voter))).run(sockets=[listening])
    print("The live page has ended. Nothing was kept.")


def listener(port: int, option: str) -> socket.socket:
    """A listening socket of this machine alone; OSError where the port is taken, which names the `option`."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise OSError(f"port {port} is in use. Name another one, or none: {option}") from None
        raise


WORDS = (
    "Open it in a browser on this machine; who knows the address may use it while this runs. The camera's pictures "
    "stay on this machine and are not stored. Research software, not a medical device. Ctrl+C ends it."
)


def configuration(app: Any) -> uvicorn.Config:
    """How uvicorn serves `app`: small messages, no log of addresses, tabs closed at the end."""
    return uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, proxy_headers=False, lifespan="off",
        ws_max_size=MOST_BYTES, ws_max_queue=2, ws_per_message_deflate=False, limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=1,
    )  # fmt: skip


class Door:
    """The application behind the checks of `place`, which come before anything is read; `tabs` are those open now.

    Other pages have other `files` (name -> path, media type), another `tab` and another `_talk`.
    """

    files = FILES
    tab: Callable[[], Any] = Tab

    def __init__(self, place: Place, voter: Voter | None = None):
        """Nobody is connected yet. `voter`: who measures in all tabs."""
        self.place, self.tabs = place, set()
        self.tab = partial(self.tab, voter=voter) if voter else self.tab
        self._measuring, self._looking = ThreadPoolExecutor(1, "measuring"), ThreadPoolExecutor(1, "looking")
        routes = [Route(f"/{name}", self._file, methods=["GET"]) for name in self.files]
        inside = Mount(f"/{place.token}", routes=[*routes, WebSocketRoute("/frames", self._frames)])
        self._app = Starlette(routes=[inside])
        self._app.router.redirect_slashes = False

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """As ASGI calls it."""
        if scope["type"] not in ("http", "websocket"):
            return
        method = scope.get("method", "GET")
        status = self.place.refusal(scope["type"], method, scope["path"], scope["headers"])
        if not status:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": REFUSED})
        else:
            await Response(status_code=status, headers=self.place.headers())(scope, receive, send)

    async def _file(self, request: Any) -> Response:
        path, kind = self.files[request.url.path.rpartition("/")[2]]
        return Response(path.read_bytes(), media_type=kind, headers=self.place.headers())

    async def _frames(self, connection: WebSocket) -> None:
        """One tab, from its first message until it is closed, refused, or no longer reads."""
        await connection.accept()
        if len(self.tabs) >= MOST_TABS:
            await connection.close(FULL, f"{MOST_TABS} tabs are open already")
            return
        tab = self.tab()
        self.tabs.add(tab)
        try:
            await self._talk(connection, tab)
        except (WebSocketDisconnect, asyncio.TimeoutError):
            pass
        except RefusedError as error:
            self.tabs.discard(tab)  # now: who is refused may not answer the closing for long
            with contextlib.suppress(Exception):  # who is refused may be gone already
                await connection.close(REFUSED, str(error)[:100])
        finally:
            self.tabs.discard(tab)

    async def _talk(self, connection: WebSocket, tab: Tab) -> None:
        look = None
        try:
            while True:
                message = await connection.receive()
                if message["type"] == "websocket.disconnect":
                    return
                data = message.get("bytes")
                if data is None:
                    raise RefusedError("text, where only binary messages are read")
                await self._tell(connection, await self._run(self._measuring, tab.take, data))
                if look is not None and look.done():
                    look.result()
                    look = None
                if tab.picture and look is None:
                    look = asyncio.create_task(self._look(connection, tab))
        finally:
            if look is not None:
                look.cancel()

    async def _look(self, connection: WebSocket, tab: Tab) -> None:
        """Look for the face in the tab's picture, while its pixels go on being measured."""
        boxes = await self._run(self._looking, tab.detect)
        told = await self._run(self._measuring, tab.found, boxes)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, asyncio.TimeoutError):  # it was closed meanwhile
            await self._tell(connection, told)

    async def _tell(self, connection: WebSocket, told: dict[str, Any]) -> None:
        await asyncio.wait_for(connection.send_text(json.dumps(told, separators=(",", ":"))), STALLED)

    async def _run(self, thread: ThreadPoolExecutor, function: Callable[..., Any], *values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(thread, function, *values)
