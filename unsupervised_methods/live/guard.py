"""Who may ask the live page's server: pages that it served itself, under the address of this run.

Any website can make a browser send requests to this machine, and can let its own name resolve to it. So the address has
a random part, Host has to be exactly the server's own, and so has Origin wherever a browser sends it.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

HOST = "127.0.0.1"  # nobody else can reach it
NAMES = (HOST, "localhost")  # as which a browser may know it


@dataclass(frozen=True)
class Place:
    """Where the page is served: its port, and the part of its address that only this run knows."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def refusal(self, kind: str, method: str, path: str, headers: Iterable[tuple[bytes, bytes]]) -> int:
        """0, or the HTTP status with which a request is refused; `kind`: http or websocket, as ASGI has it."""
        found: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            found.setdefault(name.lower(), []).append(value)
        hosts, origins = found.get(b"host", []), found.get(b"origin", [])
        if len(hosts) != 1 or hosts[0] not in [f"{name}:{self.port}".encode() for name in NAMES]:
            return 421
        if origins != [b"http://" + hosts[0]] and (origins or kind == "websocket"):
            return 403
        token = path.split("/")[1] if path.startswith("/") else ""
        if not secrets.compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
            return 404
        return 405 if kind == "http" and method not in ("GET", "HEAD") else 0

    def headers(self) -> dict[str, str]:
        """What every answer carries: the page may load and reach nothing but this server, and nobody may frame it."""
        reach = " ".join(f"ws://{name}:{self.port}" for name in NAMES)
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {reach}; img-src data:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return {
            "Content-Security-Policy": policy,
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
