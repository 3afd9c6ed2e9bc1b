"""How long a Matroska or WebM file says it is."""

from pathlib import Path


def cut_off(path: Path) -> int:
    """Bytes that a Matroska or WebM file lacks of what its segment states; 0 for others, and where it states nothing.

    RFC 8794 (EBML): a header, then one segment; each has an identifier and a size whose leading zeros tell its bytes.
    """
    start, length = _segment(path)
    return 0 if length is None else max(start + length - path.stat().st_size, 0)


def was_ended(path: Path) -> bool:
    """Whether a Matroska file states its length: its writer fills it in when it ends, and not when it is killed."""
    return _segment(path)[1] is not None


def _segment(path: Path) -> tuple[int, int | None]:
    """Where the content of the one segment starts, and its length; None: not stated, or no such file."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head[:4] != b"\x1a\x45\xdf\xa3":
        return 0, None
    at, size = _ebml_size(head, 4)
    segment = at + (size or 0)
    start, length = _ebml_size(head, segment + 4)
    return (start, length) if head[segment : segment + 4] == b"\x18\x53\x80\x67" else (start, None)


def _ebml_size(data: bytes, at: int) -> tuple[int, int | None]:
    """(where the content starts, its length) of an element whose size stands at `at`; None: unknown."""
    bytes_long = 9 - data[at : at + 1].rjust(1, b"\x01")[0].bit_length()
    value = int.from_bytes(data[at : at + bytes_long], "big") - (1 << 7 * bytes_long)
    return at + bytes_long, None if value == (1 << 7 * bytes_long) - 1 else value
