"""Random changes of training clips: where they are cut, mirrored, cropped, lit, and how fast the heart beats in them.

All randomness comes from (seed, epoch, number of the clip in the data set) by `numbers`: a clip changes in the same way
whatever batch, process or resumed run it is in. Place and frames change before the normalisation, the rate after it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dataset.signals import PULSE_WAVE
from evaluation.post_process import integrate
from neural_methods.loss.spectrum import welch_heart_rate
from neural_methods.needs import Needs

Batch = dict[str, Any]
STREAMS = ("flip", "rate", "jitter", "crop", "gain", "speed")  # each draws its own numbers: append, never reorder
FAST_BPM, SLOW_BPM = 90.0, 75.0  # above: slowed down, below: sped up (the protocol of RhythmFormer)
STORED = ("video", "next_frame")  # grey levels as stored
FLOATS = ("video_float", "small_float")  # chunks that are stored normalised


def numbers(seed: int, epoch: int, sample: int, purpose: str) -> np.random.Generator:
    """Random numbers of one clip in one epoch for one of `STREAMS`."""
    return np.random.default_rng((seed, epoch, int(sample), STREAMS.index(purpose)))


@dataclass(frozen=True)
class Augmentation:
    """What TRAIN.AUGMENT asks for; everything is off by default."""

    seed: int = 100
    flip: str = ""  # 'sample': each clip for itself; 'batch': all of a batch or none
    rate: bool = False
    jitter: int = 0  # frames
    crop_jitter: float = 0.0  # share of the frame
    gain: float = 0.0  # share of the level
    speed: float = 0.0  # share of the speed

    @classmethod
    def of(cls, config: Any) -> "Augmentation":
        """The settings of a configuration; those an older one lacks are off."""
        node, seed = config.TRAIN.get("AUGMENT", {}), int(config.get("SEED", cls.seed))
        fields = ("flip", "rate", "jitter", "crop_jitter", "gain", "speed")
        return cls(seed, **{name: node.get(name.upper(), getattr(cls, name)) for name in fields})

    def describe(self) -> str:
        """What is on, in words; '' when nothing is."""
        parts = {
            f"start moved by up to {self.jitter} frames": self.jitter,
            f"mirrored ({self.flip})": self.flip,
            f"crop moved and enlarged by up to {self.crop_jitter:g} of the frame": self.crop_jitter,
            f"colours times 1 +- {self.gain:g}": self.gain,
            "rates halved or doubled": self.rate,
            f"speed times 1 +- {self.speed:g}": self.speed,
        }
        return ", ".join(text for text, on in parts.items() if on)

    def check_method(self, needs: Needs, heads: dict[str, str]) -> None:
        """ValueError when a method with these `needs` and `heads` cannot have its clips changed as asked."""
        for key in ("flip", "crop_jitter", "gain"):
            if getattr(self, key) and not needs.reads_video:
                raise ValueError(
                    f"TRAIN.AUGMENT.{key.upper()} changes a video, and this method reads none. Switch it off."
                )
        for key, off in (("rate", "False"), ("speed", "0")):
            others = [name for name, kind in heads.items() if kind != "wave"]
            if getattr(self, key) and others:
                raise ValueError(
                    f"TRAIN.AUGMENT.{key.upper()} stretches waves; this method also learns {', '.join(others)}. "
                    f"Set it to {off}."
                )
        if self.speed and needs.input_names != ("video",):
            raise ValueError(
                f"TRAIN.AUGMENT.SPEED stretches a video; this method reads {', '.join(needs.input_names)}. Set it to 0."
            )
        if self.rate and (PULSE_WAVE not in needs.labels or needs.input_names != ("video",)):
            raise ValueError(
                "TRAIN.AUGMENT.RATE stretches a video by the rate of its label `ppg`; this method reads "
                f"{', '.join(needs.input_names)} and learns {', '.join(needs.labels) or 'no label'}. Set it to False."
            )

    def check_clips(self, data: Any) -> None:
        """ValueError when clips of `data` cannot be changed as asked."""
        if self.jitter and not hasattr(data, "room"):
            raise ValueError("TRAIN.AUGMENT.JITTER needs whole recordings; these are ready-made clips. Set it to 0.")
        if self.gain and not hasattr(data, "room"):
            raise ValueError("TRAIN.AUGMENT.GAIN changes grey levels; these clips are stored normalised. Set it to 0.")

    def shift(self, data: Any, epoch: int, index: int) -> int:
        """How many frames later than it lies a clip of `data` is cut in an epoch (negative: earlier)."""
        if not self.jitter:
            return 0
        early, late = data.room(index)
        low, high = max(early, -self.jitter), min(late, self.jitter)
        return int(numbers(self.seed, epoch, index, "jitter").integers(low, high + 1))

    def frames(self, batch: Batch, epoch: int) -> Batch:
        """Mirror, crop and light the frames of a batch before its normalisation."""
        names = [name for name in (*STORED, *FLOATS) if name in batch]
        samples = _samples(batch) if self.flip or self.crop_jitter or self.gain else []
        if self.flip:
            chosen = self._flipped(samples, epoch)
            batch = {**batch, **{name: mirror(batch[name], chosen) for name in names}}
        if self.crop_jitter:
            draws = [numbers(self.seed, epoch, sample, "crop") for sample in samples]
            boxes = torch.tensor(np.array([draw_box(draw, self.crop_jitter) for draw in draws]), dtype=torch.float32)
            batch = {**batch, **{name: crop(batch[name], boxes) for name in names}}
        if self.gain:
            draws = [numbers(self.seed, epoch, sample, "gain") for sample in samples]
            gains = 1 + self.gain * np.array([draw.uniform(-1, 1, batch["video"].shape[1]) for draw in draws])
            changed = {name: light(batch[name], torch.from_numpy(gains)) for name in STORED if name in batch}
            batch = {**batch, **changed}
        return batch

    def rates(self, batch: Batch, epoch: int, names: Sequence[str], fs: Tensor, differential: bool) -> Batch:
        """Change the speed of normalised clips whose pulse is fast or slow, with the waves called `names`.

        Half of the clips by chance: above 90 bpm half as fast, below 75 bpm twice as fast. `fs` (B,) in Hz.
        """
        if not self.rate:
            return batch
        waves = [name for name in ("video", *names) if name in batch]
        rows: dict[str, list[Tensor]] = {name: [] for name in waves}
        for row, sample in enumerate(_samples(batch)):
            change = self._speed(batch[PULSE_WAVE][row], float(fs[row]), epoch, sample, differential)
            for name in waves:
                rows[name].append(change(batch[name][row], 1 if name == "video" else 0))
        return {**batch, **{name: torch.stack(values) for name, values in rows.items()}}

    def speeds(self, batch: Batch, epoch: int, names: Sequence[str]) -> Batch:
        """Play normalised clips faster or slower, with the waves (B, T) called `names`; `speed` (B,) says how fast.

        What lies beyond the end of a clip is read backwards from there.
        """
        if not self.speed:
            return batch
        draws = [numbers(self.seed, epoch, sample, "speed").uniform(-1, 1) for sample in _samples(batch)]
        speeds = 1 + self.speed * torch.tensor(draws, dtype=torch.float64)
        video = batch["video"]
        waves = [name for name in names if name in batch and batch[name].shape == (len(video), video.shape[2])]
        changed = {"video": played(video.transpose(1, 2), speeds).transpose(1, 2)}
        changed |= {name: played(batch[name], speeds) for name in waves}
        return {**batch, **changed, "speed": speeds.float()}

    def _speed(
        self, wave: Tensor, fs: float, epoch: int, sample: int, differential: bool
    ) -> Callable[[Tensor, int], Tensor]:
        draw = numbers(self.seed, epoch, sample, "rate")
        coin, place = draw.uniform(), draw.uniform()
        if coin >= 0.5:
            return lambda clip, dim: clip
        rate = label_rate(wave, fs, differential)
        if rate > FAST_BPM:
            start = int(place * (len(wave) // 2))
            return lambda clip, dim: slow_down(clip, start, dim)
        return speed_up if rate < SLOW_BPM else lambda clip, dim: clip

    def _flipped(self, samples: Sequence[int], epoch: int) -> Tensor:
        if self.flip == "batch":  # the first clip throws for all
            samples = [samples[0]] * len(samples)
        return torch.tensor([numbers(self.seed, epoch, sample, "flip").uniform() < 0.5 for sample in samples])


def _samples(batch: Batch) -> list[int]:
    return torch.as_tensor(batch["index"]).tolist()


# --- The changes themselves -----------------------------------------------------------------------------------------


def mirror(frames: Tensor, chosen: Tensor) -> Tensor:
    """`frames` (B, ..., H, W) with those that `chosen` (B,) bool marks mirrored left-right."""
    return torch.where(chosen.to(frames.device).view(-1, *[1] * (frames.ndim - 1)), frames.flip(-1), frames)


def draw_box(draw: np.random.Generator, share: float) -> tuple[float, float, float]:
    """Left, top and side of a random square inside the frame, as shares of it; the side is 1 - `share` to 1."""
    lost = share * draw.uniform()
    return lost * draw.uniform(), lost * draw.uniform(), 1 - lost


def crop(frames: Tensor, boxes: Tensor) -> Tensor:
    """The parts `boxes` (B, 3) of `frames` (B, ..., H, W), enlarged to their size, bilinear, float32.

    A box is left, top and side as shares of the frame (see `draw_box`); all frames of a clip share it.
    """
    left, top, side = boxes.to(frames.device).unbind(1)
    zero = torch.zeros_like(side)
    rows = torch.stack([side, zero, 2 * left + side - 1, zero, side, 2 * top + side - 1], dim=1)
    flat = frames.reshape(len(frames), -1, *frames.shape[-2:]).float()
    grid = F.affine_grid(rows.view(-1, 2, 3), list(flat.shape), align_corners=False)
    return F.grid_sample(flat, grid, padding_mode="border", align_corners=False).view(frames.shape)


def light(frames: Tensor, gains: Tensor) -> Tensor:
    """`frames` (B, C, ...) times `gains` (B, C), float32."""
    return frames.float() * gains.to(frames.device, torch.float32).view(*gains.shape, *[1] * (frames.ndim - 2))


def slow_down(clip: Tensor, start: int, dim: int) -> Tensor:
    """Half of `clip` at half the speed: from frame `start`, each followed by its mean with its successor.

    `start` at most half the frames minus one. Time is axis `dim`.
    """
    length = clip.shape[dim]
    half = (length + 1) // 2
    start = min(start, length - 1 - half)
    first, second = clip.narrow(dim, start, half), clip.narrow(dim, start + 1, half)
    return torch.stack([first, (first + second) / 2], dim + 1).flatten(dim, dim + 1).narrow(dim, 0, length)


def speed_up(clip: Tensor, dim: int) -> Tensor:
    """`clip` at twice the speed: every second frame, repeated to fill its length. Time is axis `dim`."""
    length = clip.shape[dim]
    every = clip.index_select(dim, torch.arange(0, length, 2, device=clip.device))
    return torch.cat([every, every], dim).narrow(dim, 0, length)


def played(clips: Tensor, speeds: Tensor) -> Tensor:
    """`clips` (B, T, ...) at `speeds` (B,) times their speed, linear between frames; past its end a clip runs back."""
    last = clips.shape[1] - 1
    places = speeds[:, None] * torch.arange(last + 1, dtype=speeds.dtype)
    places = last - (last - places).abs()
    low = places.floor().clamp(0, max(last - 1, 0)).long()
    share = (places - low).to(clips.device, clips.dtype).view(*places.shape, *[1] * (clips.ndim - 2))
    low, row = low.to(clips.device), torch.arange(len(clips), device=clips.device)[:, None]
    return clips[row, low] * (1 - share) + clips[row, (low + 1).clamp(max=last)] * share


def label_rate(wave: Tensor, fs: float, differential: bool) -> float:
    """Heart rate (bpm) of a label (T,) at `fs` (Hz) by Welch's method; `differential` labels are summed up first."""
    values = wave.detach().double().cpu().numpy()
    values = integrate(values) if differential else values
    return welch_heart_rate(values - values.mean(), fs)
