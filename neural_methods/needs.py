"""What a method asks of data and configuration, and whether a section of the configuration can give it.

Everything here is known before a video is opened: what data sets declare of themselves, and the keys of their section.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dataset.signals import PULSE_WAVE

BANDS = {"RGB": 3, "T": 1, "RGBT": 4}  # channels of one representation
VIDEO = "video"  # the input made of the faces
STREAM_CHANNELS = {"faces": 3, "thermal": 1}


@dataclass(frozen=True)
class Needs:
    """What a method asks of data and configuration, checked before the first step.

    `inputs` are names, or objects with `name`, `streams` (what it is made of; (): what `name` says) and `optional`.
    """

    signals: tuple[str, ...] = (PULSE_WAVE,)  # labels it cannot learn without; (): it learns without labels
    optional: tuple[str, ...] = ()  # further signals, used where the data have them
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # signals that are the columns of a label
    kinds: Mapping[str, str] = field(default_factory=dict)  # label -> wave, codes or scalar, where no output says it
    inputs: tuple[Any, ...] = (VIDEO,)
    channels: int | None = None  # of the normalised video; None: any
    square: bool = False  # frames must be as high as wide
    smallest: int = 1  # pixels that both sides of a frame must have
    sizes: tuple[int, ...] = ()  # the only frame heights that work; (): any
    one_size: bool = False  # the network is built for one frame size: all sections must have the same

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all signals that may be in a batch."""
        return (*self.signals, *self.optional)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, in order."""
        return tuple(getattr(one, "name", one) for one in self.inputs)

    @property
    def reads_video(self) -> bool:
        """Whether the faces are an input."""
        return VIDEO in self.input_names

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """Inputs that must be there -> the streams or signals each is made of."""
        return {
            getattr(one, "name", one): tuple(getattr(one, "streams", ())) or (getattr(one, "name", one),)
            for one in self.inputs
            if not getattr(one, "optional", False)
        }


def reader_of(data: Any) -> Any:
    """The reader that a DATA node names; None where it names none, or none that is known."""
    from dataset.prepare.section import make_loader  # late: networks need no data set code
    from registry import DATASETS

    name = data.get("DATASET", "")
    return make_loader(data) if name and name in DATASETS else None


def channels_of(needs: Needs, types: int, reader: Any = None) -> int | None:
    """Channels of the video after normalisation: those of a frame times the number of `types`; None: not known here."""
    sources = needs.sources.get(VIDEO, (VIDEO,))
    if sources == (VIDEO,):
        return BANDS[getattr(reader, "bands", "RGB")] * types
    if set(sources) <= set(STREAM_CHANNELS):
        return sum(STREAM_CHANNELS[name] for name in sources) * types
    return None


def lacking_inputs(needs: Needs, reader: Any) -> list[str]:
    """Streams and signals that a method reads and that data sets of `reader` do not have, as they declare."""
    lacking = []
    for name, sources in needs.sources.items():
        if name == VIDEO:
            lacking += [] if getattr(reader, "has_video", True) else [VIDEO]
        else:
            lacking += [source for source in sources if not _has(reader, source)]
    return lacking


def lacking_labels(needs: Needs, reader: Any, pseudo: bool, scalars: Iterable[str] = ()) -> list[str]:
    """Labels a method cannot learn without and that data sets of `reader` do not have, as they declare.

    `scalars` are values of a recording, which no data set declares; `pseudo`: the pulse is made from the video.
    """
    known = {*scalars, *([PULSE_WAVE] if pseudo else [])}
    return [
        name
        for name in needs.signals
        if name not in known and not any(_has(reader, part) for part in needs.parts.get(name) or (name,))
    ]


def what_it_has(reader: Any) -> str:
    """The signals and streams of a data set, in words."""
    names = [*reader.signals, *_further(reader), *getattr(reader, "streams", ())]
    return ", ".join(dict.fromkeys(names)) or "no signals"


def clip_options(needs: Needs, heads: Mapping[str, str], training: bool) -> dict[str, Any]:
    """The fields of `ClipOptions` that ask for the inputs and labels of a method; a test can do without labels."""
    from dataset.clips.labels import Label  # late: networks need no data set code

    labels = tuple(
        Label(
            name, label_kind(needs, heads, name), needs.parts.get(name, ()), required=training and name in needs.signals
        )
        for name in needs.labels
    )
    return {"inputs": needs.inputs, "labels": labels}


def label_kind(needs: Needs, heads: Mapping[str, str], name: str) -> str:
    """How the label `name` is read: as `needs` say, else as the kind of the output of that name learns it."""
    from evaluation.kinds import kind_name
    from registry import KINDS

    if name in needs.kinds:
        return needs.kinds[name]
    kind = kind_name(name, heads.get(name, "wave"))
    return (KINDS[kind].label if kind in KINDS else None) or "scalar"


def _further(reader: Any) -> tuple[str, ...]:
    return tuple(getattr(reader, "optional_signals", ()))


def _has(reader: Any, name: str) -> bool:
    """Whether a data set has a stream or signal; True where its reader has said nothing of signals.

    What channels windows have is in their files: it is checked when they are opened.
    """
    if getattr(reader, "windows", False) and not reader.signals:
        return True
    if name == "faces":
        return getattr(reader, "has_video", True)
    if name == "thermal" and "T" in getattr(reader, "bands", "RGB"):
        return True
    if name in (*reader.signals, *_further(reader), *getattr(reader, "streams", ())):
        return True
    return not _declares_signals(reader)


def _declares_signals(reader: Any) -> bool:
    from dataset.data_loader.base import BaseLoader

    own = [kind for kind in type(reader).__mro__ if kind not in (BaseLoader, object)]
    return any(key in vars(kind) for kind in own for key in ("signals", "optional_signals")) or "signals" in vars(
        reader
    )
