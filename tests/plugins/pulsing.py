"""PULSING: small pictures of skin that pulse, no face in them, made as they are read: hundreds of people in seconds.

Every person has a texture, a skin tone and a rate; AMPLITUDE 0 is a set without a pulse, in LEAK the brightness of a
frame's upper half tells the rate, so that a still picture gives it away.
"""

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal
from registry import DATASETS

FS, SIZE = 30.0, 16
SKIN = np.array([0.33, 0.77, 0.53])  # relative pulsatility of R, G, B


@DATASETS.register("PULSING")
class PulsingLoader(BaseLoader):
    """The people are numbered; nothing lies in DATA_PATH."""

    fs = FS
    signals = ("ppg",)
    generated = True
    OPTIONS = {"PEOPLE": 12, "LASTS": 20.0, "AMPLITUDE": 0.02, "NOISE": 2.0, "LEAK": False, "WORLD": 0}

    def recordings(self, root):
        """One of each person."""
        names = [f"p{number}" for number in range(int(self.options["PEOPLE"]))]
        return [Recording(name, name, root / name, {"number": number}) for number, name in enumerate(names)]

    def _person(self, recording):
        """Random numbers of the person, rate (bpm), and beats so far at each frame."""
        random = np.random.default_rng((int(self.options["WORLD"]), recording.info["number"]))
        rate = random.uniform(50, 120)
        frames = round(float(self.options["LASTS"]) * FS)
        wander = np.cumsum(random.normal(0, 0.002, frames)) * 0.1
        return random, rate, np.cumsum((rate / 60.0) * (1 + wander) / FS)

    def read_video(self, recording):
        """Frames one at a time."""
        random, rate, phase = self._person(recording)
        tone, texture = random.uniform(90, 170, 3), random.normal(0, 8, (SIZE, SIZE, 1))
        skin = tone + texture
        if self.options["LEAK"]:
            skin[: SIZE // 2] = 40 + 1.4 * rate
        wave = np.exp(-4.0 * (phase % 1.0)) - 0.25
        for value in wave:
            frame = skin * (1 + float(self.options["AMPLITUDE"]) * value * SKIN)
            frame = frame + random.normal(0, float(self.options["NOISE"]), frame.shape)
            yield np.clip(np.rint(frame), 0, 255).astype(np.uint8)

    def read_wave(self, recording):
        """The pulse wave at the frames, as a sensor has it."""
        _, _, phase = self._person(recording)
        return {"ppg": Signal(np.exp(-4.0 * (phase % 1.0)), fs=FS)}
