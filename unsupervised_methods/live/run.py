"""What `--live` does: a page for the browser, or a camera or file in the terminal."""

from pathlib import Path

from unsupervised_methods.live.voters import Voter

PAGE = "page"  # where nothing is said
PACKAGES = ("starlette", "uvicorn", "websockets")  # the extra `live`; their versions: pyproject.toml
HELP = "--live alone serves the page, page:8080 on that port; cam:0 reads that camera, file:CLIP.mp4 a video"


def run(place: str, voter: Voter | None = None) -> int:
    """Serve or watch `place`, measured by `voter`; an exit code. ValueError for a place that is none."""
    kind, _, name = place.partition(":")
    if kind == PAGE:
        return _page(name, voter)
    if kind not in ("cam", "file") or not name:
        raise ValueError(f"--live {place}: no such place. {HELP}.")
    from unsupervised_methods.live.camera import camera, film
    from unsupervised_methods.live.terminal import watch

    return watch(camera(name) if kind == "cam" else film(Path(name)), voter)


def _page(port: str, voter: Voter | None) -> int:
    if port and not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"--live page:{port}: the port is a number below 65536.")
    try:
        from unsupervised_methods.live.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PACKAGES:
            raise
        raise ImportError(
            f"--live serves its page with packages that are not all installed ({error.name} is missing): "
            f"pip install {' '.join(PACKAGES)}. --live cam:0 needs none of them."
        ) from None
    serve(int(port or 0), voter)
    return 0
