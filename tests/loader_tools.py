"""What the tests of single data sets share: settings of a miniature, a video as an array, all frames as one."""

import dataclasses

import numpy as np

from dataset.synthetic.settings import resolve

SETTINGS = dataclasses.replace(resolve({"PRESET": "easy", "WIDTH": 128, "HEIGHT": 96, "SUBJECTS": 1}), seconds=0.5)
VIDEO = np.random.default_rng(0).integers(0, 256, (19, 6, 5, 3), dtype=np.uint8)


def pixels(frames):
    """All frames as one array."""
    return np.stack([np.asarray(frame) for frame in frames])
