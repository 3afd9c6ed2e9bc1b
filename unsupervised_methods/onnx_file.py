"""Networks in ONNX files, run without torch. The file is a stranger's: it opens no other file and runs no code.

It is parsed before anything runs it. Weights that lie in other files, operators that are not ONNX's own, loops without
a known end and sizes that no network of ours has are refused; what then asks for more memory than MOST_MEMORY fails.
"""

import contextlib
import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.names import shown
from dataset.files.reading import read_bytes, told
from unsupervised_methods.expects import Expects, ExpectsError

ENDING = ".onnx"
KEY = "pulsescope"  # of the description in the file's metadata; also the domain of functions that the file brings
INPUT, OUTPUT = "video", "wave"
LARGEST = 1 << 28  # bytes of a file: the largest network here has 30 million
MOST_MEMORY = 6 << 30  # bytes that it may ask for while it is opened, and again while it runs
ENDLESS = {"Loop"}  # operators whose number of turns nothing bounds
AGAIN = "Export it again: python -m tools.export --weights FILE.pth --to onnx."
PACKAGES = ("onnx", "onnxruntime")


class NetworkError(ValueError):
    """An ONNX file that cannot be used, with the reason and the way out."""


class OnnxNetwork:
    """A network from an ONNX file: clips in, waves out; `expects` says how the clips are made."""

    def __init__(self, path: str | Path):
        """Open and check `path`.

        FileNotFoundError, ImportError without the packages, or NetworkError, each in one sentence.
        """
        path = Path(path)
        onnx, runtime = packages()
        try:
            data = read_bytes(path, LARGEST, AGAIN)
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise NetworkError(str(error)) from None
        with _named(path, "is damaged or no ONNX file"):
            model = onnx.ModelProto.FromString(data)
        self.expects = described(model, path)
        if problem := _problem(model):
            raise NetworkError(f"'{shown(path)}' {problem}. {AGAIN}")
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what is wrong is said once, here
        with _named(path, "cannot be run"), bounded():
            self._session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self.path, self.name = path, self.expects.method
        self._check_ports()

    def _check_ports(self) -> None:
        """NetworkError unless a clip as described goes in and one wave comes out."""
        inputs = [(one.name, one.type, list(one.shape)[1:]) for one in self._session.get_inputs()]
        outputs = [one.name for one in self._session.get_outputs()]
        if inputs != [(INPUT, "tensor(float)", list(self.expects.shape))] or outputs != [OUTPUT]:
            raise NetworkError(f"'{shown(self.path)}' reads other clips than it describes. {AGAIN}")

    def __call__(self, video: np.ndarray) -> np.ndarray:
        """Clips (B, C, T, H, W) float32 -> waves (B, T) float32, or (B, 2, T) with how sure it is of them.

        NetworkError when it cannot be computed.
        """
        with _named(self.path, "cannot be run"), bounded():
            wave = np.asarray(self._session.run([OUTPUT], {INPUT: np.ascontiguousarray(video)})[0])
        count, frames = len(video), self.expects.frames
        if wave.shape not in ((count, frames), (count, 2, frames)) or wave.dtype != np.float32:
            raise NetworkError(f"'{shown(self.path)}' gives {wave.shape} where it describes waves. {AGAIN}")
        return wave


def packages() -> list[Any]:
    """The two packages; ImportError that names the extra where one is missing."""
    try:
        return [importlib.import_module(name) for name in PACKAGES]
    except ImportError as error:
        raise ImportError(
            f"ONNX files need the packages {' and '.join(PACKAGES)}, and {error.name or error} is missing: "
            f"pip install {' '.join(PACKAGES)} (the extra `onnx`)."
        ) from None


def described(model: Any, path: Path) -> Expects:
    """The description inside a parsed model; NetworkError where there is none that can be meant."""
    texts = [one.value for one in model.metadata_props if one.key == KEY]
    if len(texts) != 1:
        raise NetworkError(f"'{shown(path)}' does not say what its network expects of a video. {AGAIN}")
    try:
        return Expects.of_text(texts[0])
    except ExpectsError as error:
        raise NetworkError(f"'{shown(path)}' describes {shown(error)}. {AGAIN}") from None


def _problem(model: Any) -> str:
    """Why a parsed model is not opened; "" where nothing speaks against it."""
    own = {(one.domain, one.name) for one in model.functions}
    try:
        for message in _messages(model):
            kind = type(message).__name__
            if kind == "TensorProto" and (message.external_data or message.data_location):
                return "keeps weights in other files, which are not opened"
            if kind == "NodeProto":
                foreign = message.domain not in ("", "ai.onnx") and (message.domain, message.op_type) not in own
                if foreign or message.op_type in ENDLESS:
                    return f"holds the operator '{shown(message.op_type)}', which is not run"
    except RecursionError:
        return "is nested too deeply"
    return ""


def _messages(message: Any) -> Iterator[Any]:
    """`message` and all messages inside it, whatever they are: graphs, functions, attributes, sparse tensors."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if isinstance(value, Iterable) else [value]:
                yield from _messages(one)


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Inside the block at most MOST_MEMORY more may be asked for, where the system can tell; an error then, no kill."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = min(one for one in (soft, hard, used + MOST_MEMORY) if one != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def _named(path: Path, problem: str) -> Iterator[None]:
    """NetworkError that names `path` for whatever the two packages raise inside the block."""
    try:
        yield
    except Exception as error:  # each of them has errors of its own
        raise NetworkError(f"'{shown(path)}' {problem}: {told(error)}. {AGAIN}") from None
