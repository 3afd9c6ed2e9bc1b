"""Where the numbers of a run come from: its code, the recordings of each section with their files, its weights.

    <run folder>/provenance.json
        code      version, commit, whether files differ from it, sign of all source files
        folder    where relative paths of the settings start
        data      section -> data set, folder, split, listing, failed, and of each recording its length, the checksums
                  of its entry and the signs of the files that this was made of; `fingerprint` stands for all of them;
                  `chosen_by`: the list or fold that names them, where there is one
        weights   what was read or trained -> sign

Nothing here is needed to read the numbers. `evaluation.replay` compares it with what is there now.
"""

import hashlib
import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import config as settings
from dataset.faults import OURS, ROOT
from dataset.files.reading import read_json
from dataset.prepare.listing import files_that_choose
from dataset.prepare.prepared import Prepared
from dataset.store.disk import CacheError
from dataset.store.entry import ENTRY, read_about
from dataset.store.sources import digest, sign, signed_below
from evaluation.tables import write_text

PROVENANCE = "provenance.json"
GIT_SECONDS = 5
BLOCK = 1 << 20  # bytes read at once of a file of weights


def begin(config: Any) -> Path:
    """Start the file of a run anew: what an earlier one has read must not stand for this one. Returns its path."""
    return _write(Path(settings.run_folder(config)), {**_start(), "data": {}, "weights": {}})


def note_data(config: Any, prepared: Prepared) -> None:
    """Write down what a section reads, as it is prepared for the run of `config`."""
    folder = Path(settings.run_folder(config))
    known = read(folder)
    found, chosen_by = _of_section(prepared), files_that_choose(config[prepared.name.upper()].DATA)
    if chosen_by:
        found["chosen_by"] = {
            key: {"path": os.path.abspath(path), "sha256": file_sign(path)} for key, path in chosen_by.items()
        }
    known.setdefault("data", {})[prepared.name.upper()] = found
    _write(folder, known)


def note_weights(config: Any, what: str, path: str | Path, value: str) -> None:
    """Write down a file of weights that was read or trained; `value` stands for its content."""
    folder = Path(settings.run_folder(config))
    known = read(folder)
    known.setdefault("weights", {})[what] = {"path": os.path.abspath(path), "sha256": value}
    _write(folder, known)


def known(path: Path) -> dict[str, Any]:
    """What a JSON file that a run may have left says; {} where there is none that can be read."""
    try:
        return read_json(path, remedy="")
    except (OSError, ValueError):
        return {}


def read(folder: Path) -> dict[str, Any]:
    """What is known of the run in `folder`; only of the code and the working directory where nothing was written."""
    try:
        return read_json(folder / PROVENANCE, remedy="")
    except (OSError, ValueError):
        return _start()


def file_sign(path: str | Path) -> str:
    """SHA-256 of a whole file, read block by block; OSError where it cannot be."""
    hashed = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(BLOCK):
            hashed.update(block)
    return hashed.hexdigest()


def _write(folder: Path, content: dict[str, Any]) -> Path:
    return write_text(folder / PROVENANCE, json.dumps(content, indent=1) + "\n")


def _start() -> dict[str, Any]:
    return {"code": code(), "folder": os.getcwd()}


@cache
def code() -> dict[str, Any]:
    """The version of the toolbox; `commit` is empty where it is no clone, or git is not there."""
    commit = _git("rev-parse", "HEAD")
    changed = bool(_git("status", "--porcelain", "--untracked-files=no")) if commit else None
    return {"version": _version(), "commit": commit, "changed": changed, "sign": _code_sign()}


def _git(*words: str) -> str:
    if not (ROOT / ".git").exists():  # else git would answer for a folder above
        return ""
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def _version() -> str:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    return next((line.split('"')[1] for line in lines if line.startswith("version = ")), "")


def _code_sign() -> str:
    """16 hexadecimal digits over every source file of the toolbox."""
    hashed = hashlib.sha256()
    for file in sorted(file for top in OURS for file in _sources(ROOT / top)):
        hashed.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return hashed.hexdigest()[:16]


def _sources(top: Path) -> list[Path]:
    return [top] if top.suffix == ".py" else [*top.rglob("*.py")]


# --- One section ----------------------------------------------------------------------------------------------------


def _of_section(prepared: Prepared) -> dict[str, Any]:
    every = [*prepared.recordings, *(recording for recording, _ in prepared.failed)]
    recordings = _of_entries(prepared) if prepared.cache is not None else _of_chunks(prepared)
    content = {
        "dataset": prepared.dataset,
        "root": os.path.abspath(prepared.root),
        "split": {
            "hash": prepared.split.hash,
            "recordings": len(prepared.split.ids),
            "subjects": len({one.subject for one in every}),
        },
        "fingerprint": digest([[name, one.get("entry"), one.get("files")] for name, one in recordings.items()]),
        "listing": [row["id"] for row in prepared.cache.listing()] if prepared.cache is not None else [],
        "recordings": recordings,
        "failed": {recording.id: reason for recording, reason in prepared.failed},
        "left_out": {recording.id: reason for recording, reason in prepared.excluded},
    }
    return content if prepared.cache is not None or prepared.chunks else content | {"files": _of_windows(prepared)}


def _of_entries(prepared: Prepared) -> dict[str, Any]:
    """What entry.json says of each recording: it holds no time, no host and no absolute path."""
    found = {}
    for recording in prepared.recordings:
        try:
            entry = read_about(prepared.cache.path(recording.id) / ENTRY)
        except CacheError:  # it is named where it is read
            continue
        sources = entry.get("sources", {})
        found[recording.id] = {
            "subject": recording.subject,
            "frames": next(iter(entry.get("shape", ())), None),
            "fs": entry.get("fs"),
            "entry": digest(entry),
            "checksums": entry.get("checksums", {}),
            "files": {kind: sources[kind] for kind in ("video", "labels") if sources.get(kind)},
        }
    return found


def _of_chunks(prepared: Prepared) -> dict[str, Any]:
    """The chunks of rPPG-Toolbox by recording; {} for windows, which are no files of a recording."""
    found: dict[str, Any] = {recording.id: {"subject": recording.subject} for recording in prepared.recordings}
    for path in prepared.chunks:
        owner = next((name for name in found if path.name.startswith(f"{name}_input")), None)
        if owner is not None:
            place = {path.as_posix(): sign(path.parent, path.name, "labels")}
            found[owner].setdefault("files", {}).setdefault("chunks", {}).update(place)
    return found if prepared.chunks else {}


def _of_windows(prepared: Prepared) -> dict[str, Any]:
    return signed_below(prepared.root)
