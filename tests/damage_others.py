"""Damage to what the toolbox or its user wrote: cache entries, file lists and chunks, configurations, weights, outputs.

Each table maps what was done to how it is done. `change(path)` works on a file of that kind; `OUTSIDE` is the name of a
folder beside the cache that nobody may touch.
"""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.damage import GENERAL
from tests.damage_arrays import NPY, npy
from tests.damage_bytes import Bomb, hostile, put
from tests.damage_zips import overlapping

Change = Callable[[Path], object]
OUTSIDE = "outside"
ANY = {kind.name: kind.change for kind in GENERAL}


def rewritten(**changes: Any) -> Change:
    """A JSON file with other values for some of its keys."""
    return lambda path: put(path, json.dumps(json.loads(path.read_text()) | changes).encode())


def text(content: str | bytes) -> Change:
    """Another content."""
    return lambda path: put(path, content if isinstance(content, bytes) else content.encode())


# --- The face cache --------------------------------------------------------------------------------------------------


def _arrays(change: Callable[[dict[str, np.ndarray]], object], save: Callable = np.savez) -> Change:
    """A signals.npz after `change` of its arrays."""

    def write(path: Path) -> None:
        with np.load(path) as file:
            arrays = dict(file)
        changed = change(arrays)
        with path.open("wb") as file:
            save(file, **(changed if isinstance(changed, dict) else arrays))

    return write


def _hostile_signals(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, trace=hostile(path))


def _members(**content: bytes) -> Change:
    def write(path: Path) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, data in content.items():
                archive.writestr(f"{name}.npy", data)
        put(path, out.getvalue())

    return write


def _inflating_trace(path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("trace.npy", "w") as member:
        member.write(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000,), }", b""))
        for _ in range(1000):
            member.write(bytes(1_000_000))
    put(path, out.getvalue())


ENTRY = {
    "that is no object": text("[1, 2]"),
    "nested deeply": text("[" * 100_000),
    "of no shape": rewritten(shape=[]),
    "of a shape of words": rewritten(shape=["a", "b"]),
    "of an endless shape": text('{"format": 1, "shape": [1e999, 1, 1, 3]}'),
    "of a negative shape": rewritten(shape=[-1, 24, 24, 3]),
    "of a huge shape": rewritten(shape=[10**18, 24, 24, 3]),
    "without a rate": rewritten(fs=None),
    "with a rate that is NaN": rewritten(fs=float("nan")),
    "with a negative rate": rewritten(fs=-30),
    "with statistics of words": rewritten(stats={"mean": "a", "std": "b", "diff_std": "c"}),
    "with information that is a list": rewritten(info=[1]),
    "with flags that are a number": rewritten(flags=3),
    "with signals that are a list": rewritten(signals=[1]),
    "with a signal that is not there": rewritten(signals={"ecg": {"fs": 1, "unit": "V"}}),
    "with code in it": lambda path: put(path, pickle.dumps(Bomb(path.with_name("code_ran")))),
}
SIGNALS = {
    "with code in them": _hostile_signals,
    "that inflate": _inflating_trace,
    "whose members overlap": lambda path: put(path, overlapping(path.read_bytes(), 50)),
    "that are compressed": _arrays(lambda arrays: None, np.savez_compressed),
    "of 2^60 values": _members(trace=npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**60}, 3), }}")),
    "whose header is code": _members(trace=npy("__import__('os').mkdir('code_ran')")),
    "without a trace": _arrays(lambda arrays: arrays.pop("trace")),
    "of words": _arrays(lambda arrays: {**arrays, "trace": np.array(["a"] * len(arrays["trace"]))}),
    "of other boxes": _arrays(
        lambda arrays: {**arrays, "box_frames": np.array([5, 2]), "boxes": np.zeros((2, 4), int)}
    ),
    "of other times": _arrays(lambda arrays: {**arrays, "times": np.zeros(3)}),
}
FACES = {name: change for name, change, harmless in NPY if not harmless and "grey" not in name}
LISTING = {
    "that is a list": text("[]"),
    "nested deeply": text('{"recordings":' * 50_000),
    "with a way out": text(json.dumps({"format": 1, "recordings": [{"id": "../../outside/x", "subject": "../x"}]})),
    "with numbers for names": text(json.dumps({"format": 1, "recordings": [{"id": 5, "subject": 5}]})),
    "with lists for names": text(json.dumps({"format": 1, "recordings": [{"id": [1], "subject": [2]}]})),
    "to come": rewritten(format=77),
}
STATUS = {
    "that is a list": text("[]"),
    "nested deeply": text("[" * 100_000),
    "of another state": rewritten(state="perfect"),
    "without a reason": text('{"state": "failed"}'),
    "of lists": text('{"state": [1], "reason": {"a": 2}}'),
}


def _link_to_outside(path: Path) -> None:
    """In place of `path` a link to the folder that nobody may touch."""
    if path.is_dir():
        for file in sorted(path.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        path.rmdir()
    root = next(parent for parent in path.parents if (parent / OUTSIDE).is_dir())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(root / OUTSIDE)


LINKS = {  # what becomes a link, relative to the cache's folder of the data set
    ".writing": _link_to_outside,
    ".writing/subject2": _link_to_outside,
    ".status": _link_to_outside,
    "subject2": _link_to_outside,
}

# --- Lists and chunks of rPPG-Toolbox --------------------------------------------------------------------------------

LISTS = {
    "that leads out": "../../outside/secret.txt",
    "that leads out to a chunk": "../../nowhere/a_input0.npy",
    "of an absolute path": "/etc/passwd",
    "of a device": "/dev/zero",
    "of a drive": "C:\\data\\a_input9.npy",
    "of a share": "\\\\server\\share\\a_input9.npy",
    "of a server": "http://127.0.0.1:9/a_input9.npy",
    "of a name of 5000 letters": "a" * 5000 + "_input0.npy",
    "of a zero byte": "a\0_input0.npy",
    "of a huge number": "a_input99999999999999999999.npy",
    "of a negative number": "a_input-1.npy",
    "of a pickle": "a_input0.pickle",
}
LIST_FILES = {
    "in UTF-16": text(",input_files\n0,a_input0.npy\n".encode("utf-16")),
    "with a field of 10 MB": text(",input_files\n0," + "a" * 10_000_000 + "\n"),
    "with an open quote": text(',input_files\n0,"a_input0.npy\n' + "b\n" * 200_000),
    "of another column": text(",files\n0,a_input0.npy\n"),
    "of a million columns": text("a," * 1_000_000 + "\n"),
    "of a heading alone": text(",input_files\n"),
    "of zero bytes": text(bytes(4096)),
    **{name: ANY[name] for name in ("empty", "noise", "a web page")},
}


def write_list(path: Path, names: list[str]) -> Path:
    """A file list as rPPG-Toolbox writes it; by hand, since the csv of some Pythons refuses to write a zero byte."""
    rows = "".join(f'{number},"{name}"\n' for number, name in enumerate(names))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f",input_files\n{rows}")
    return path


# --- Configurations --------------------------------------------------------------------------------------------------

_LAUGH = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML = {
    "with a call in it": "TOOLBOX_MODE: !!python/object/apply:os.mkdir [code_ran]\n",
    "with a new object in it": "A: !!python/object/new:os.system [mkdir code_ran]\n",
    "with a module in it": "A: !!python/module:os\n",
    "with a name in it": "A: !!python/name:os.system\n",
    "that grows": _LAUGH + "UNSUPERVISED: {METHOD: *i}\n",
    "that grows in a key": _LAUGH + "*i : 1\n",
    "nested deeply": "[" * 20_000,
    "of nested maps": "{a: " * 3_000,
    "of a date that cannot be": "A: 2024-99-99\n",
    "of a number that cannot be": "A: !!int x\n",
    "of bytes that cannot be": "A: !!binary '*'\n",
    "of an unknown tag": "A: !mine 5\n",
    "of two documents": "A: 1\n---\nB: 2\n",
    "of a list": "- a\n- b\n",
    "of a loop": "A: &a [*a]\n",
    "of a base that leads out": "BASE: [../../../../etc/passwd]\n",
    "of a base that is a device": "BASE: [/dev/zero]\n",
    "of itself as base": "BASE: [damaged.yaml]\n",
    "of a base that is a number": "BASE: 5\n",
    "of a huge number": "SEED: " + "9" * 6000 + "\n",
    "of a line of 3 MB": "A: " + "x" * 3_000_000,
    "in UTF-16": "TOOLBOX_MODE: only_test\n".encode("utf-16"),
    "of zero bytes": bytes(5000),
    "of noise": np.random.default_rng(1).bytes(3000),
    "of nothing": b"",
    "of a web page": b"<!DOCTYPE html><html><body>log in</body></html>",
}

# --- Weights, states and outputs -------------------------------------------------------------------------------------


def saved(make: Callable[[Path, dict[str, torch.Tensor]], object]) -> Change:
    """What torch.save makes of another content."""

    def write(path: Path) -> None:
        content = make(path, torch.load(path, weights_only=True))
        torch.save(content, path)

    return write


def _inflating_weights(path: Path) -> None:
    """The tensors of a zip archive as torch writes it, compressed: 100 MB of zeros."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            with archive.open(name, "w") as member:
                member.write(source.read(name))
                for _ in range(2 if "/data/" in name else 0):
                    member.write(bytes(10_000_000))
    put(path, out.getvalue())


def _renamed_member(path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as archive:
        for name in source.namelist():
            archive.writestr(f"../../outside/{name}", source.read(name))
    put(path, out.getvalue())


WEIGHTS = {
    **{name: change for name, change in ANY.items() if name not in ("half a terabyte", "cut at the end")},
    "with code in them": saved(lambda path, state: {"state_dict": Bomb(path.with_name("code_ran"))}),
    "that are a plain pickle": lambda path: put(path, pickle.dumps(Bomb(path.with_name("code_ran")))),
    "that are a text": saved(lambda path, state: "weights"),
    "that are a list": saved(lambda path, state: list(state.values())),
    "with numbers for names": saved(lambda path, state: dict(enumerate(state.values()))),
    "of NaN": saved(lambda path, state: {key: value * float("nan") for key, value in state.items()}),
    "of no entries": saved(lambda path, state: {}),
    "of other shapes": saved(lambda path, state: {key: value[None] for key, value in state.items()}),
    "of huge tensors": saved(lambda path, state: {key: torch.zeros(1).expand(2**40) for key in state}),
    "that inflate": _inflating_weights,
    "whose members overlap": lambda path: put(path, overlapping(path.read_bytes(), 50)),
    "whose members lead out": _renamed_member,
    "nested deeply": lambda path: put(path, b"\x80\x02" + b"(" * 200_000 + b"."),
    "of a string of 2^60 letters": lambda path: put(path, b"\x80\x04\x8d" + (2**60).to_bytes(8, "little") + b"abc."),
}
SIDECAR = {
    "that is a list": text("[]"),
    "nested deeply": text("[" * 100_000),
    "of another method": text('{"format": 1, "method": ["a", {"b": 2}]}'),
    "of other options": text('{"format": 1, "method": "Linear", "options": 5}'),
    "in UTF-16": text('{"format": 1}'.encode("utf-16")),
    **{name: ANY[name] for name in ("empty", "noise", "a pipe", "an endless device", "a folder", "a link to itself")},
}
OUTPUTS = {
    **{
        name: ANY[name]
        for name in (
            "empty",
            "cut to a third",
            "noise",
            "zeros from end to end",
            "a web page",
            "a folder",
            "a pipe",
            "an endless device",
        )
    },
    "with code in them": lambda path: put(path, pickle.dumps({"predictions": Bomb(path.with_name("code_ran"))})),
    "of lists": text(pickle.dumps({"predictions": [1], "labels": [], "label_type": "Raw", "fs": 30})),
    "of words": text(pickle.dumps({"predictions": {"a": {0: "wave"}}, "labels": {}, "label_type": "Raw", "fs": 30})),
    "of clips called x": text(
        pickle.dumps({"predictions": {"a": {"x": [1]}}, "labels": {}, "label_type": "", "fs": 3})
    ),
    "of no rate": text(pickle.dumps({"predictions": {}, "labels": {}, "label_type": "Raw", "fs": None})),
    "nested deeply": text(b"\x80\x02" + b"]" * 1 + b"(" * 200_000 + b"."),
    "of a string of 2^60 letters": text(b"\x80\x04\x8d" + (2**60).to_bytes(8, "little") + b"abc."),
    "of a list of 2^40": text(b"\x80\x02]" + b"(" + b"K\x01" * 100_000 + b"e" + b"\x8a\xff" + b"\xff" * 255 + b"."),
}
STATES = {
    **{
        name: ANY[name]
        for name in ("empty", "cut to a third", "noise", "zeros from end to end", "bits flipped in the body")
    },
    "without a network": saved(lambda path, state: {"progress": {}}),
    "of words": saved(lambda path, state: {**state, "progress": "far"}),
    "with code in it": saved(lambda path, state: {"progress": Bomb(path.with_name("code_ran"))}),
}
