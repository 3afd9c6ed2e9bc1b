"""Clips, hearts and recordings for tests of pairs, without a video: frames are noise that pulses as fast as asked."""

from types import SimpleNamespace

import numpy as np
import torch
from torch.utils.data import Dataset

from dataset.clips.inputs import ClipOptions
from dataset.data_loader.base import Signal

FS = 30.0
STATS = np.array([128.0, 30.0, 0.01], dtype=np.float32)


def pulse(rate: float, seconds: float, fs: float = FS) -> np.ndarray:
    """A wave with steep rises, `rate` per minute."""
    phase = np.arange(round(seconds * fs)) / fs * rate / 60.0
    return np.exp(-4.0 * (phase % 1.0))


class PulsingClips(Dataset):
    """As a ClipDataset: person k of `rates` has two clips of `seconds`, frames of `size` pixels that pulse."""

    def __init__(self, rates, seconds: float = 4.0, size: int = 8, amplitude: float = 8.0, response=(1.0, 1.0, 1.0)):
        """`response`: how much of it R, G and B have."""
        self.options = ClipOptions(labels=())
        length = round(seconds * FS)
        self.tracks = [SimpleNamespace(id=f"r{k}", subject=f"p{k}", fs=FS, count=2 * length) for k in range(len(rates))]
        self.clips = [(k, n * length, (n + 1) * length, n) for k in range(len(rates)) for n in range(2)]
        self.waves = [pulse(rate, 2 * seconds) for rate in rates]
        random = np.random.default_rng(0)
        self.video = []
        for wave in self.waves:
            frames = random.normal(128, 2, (len(wave), size, size, 3))
            frames += amplitude * wave[:, None, None, None] * np.array(response)
            self.video.append(np.clip(frames, 0, 255).astype(np.uint8))

    def entries(self, name):
        """The recording, with a pulse wave as long as its video."""
        number = int(name[1:])
        signals = {"ppg": Signal(self.waves[number], fs=FS)}
        return SimpleNamespace(id=name, signals=signals, times=None, faces=self.video[number], fs=FS)

    def frames(self, number, start, stop):
        """As the cache has them."""
        return np.array(self.video[number][start:stop]), STATS

    @property
    def recordings(self):
        """Ids."""
        return [track.id for track in self.tracks]

    def clip_lengths(self):
        """Frames of each clip."""
        return [stop - start for _, start, stop, _ in self.clips]

    def __len__(self):
        """Clips."""
        return len(self.clips)

    def __getitem__(self, index):
        """A sample."""
        number, start, stop, clip = self.clips[int(index)]
        frames = torch.from_numpy(self.video[number][start:stop])
        track = self.tracks[number]
        return {
            "video": frames.permute(3, 0, 1, 2), "next_frame": frames[-1].permute(2, 0, 1), "has_next": False,
            "stats": torch.from_numpy(STATS), "recording": track.id, "subject": track.subject, "clip": clip, "fs": FS,
            "index": int(index), "epoch": int(getattr(index, "epoch", 0)),
        }  # fmt: skip


def hearts_as_vectors(random, people: int = 24, windows: int = 2, skill: float = 0.0):
    """Numbers of the people, vectors of videos and hearts (n, 1) and rates (n,): people differ, windows hardly.

    `skill` 0: what the videos say has nothing to do with the hearts, though it is the same for windows of a person.
    """
    who = np.repeat(np.arange(people), windows)
    rates = np.repeat(random.uniform(50, 120, people), windows) + random.normal(0, 1, people * windows)
    other = np.repeat(random.uniform(50, 120, people), windows) + random.normal(0, 1, people * windows)
    told = skill * rates + (1 - skill) * other
    return who, told[:, None], rates[:, None], rates
