"""GridPulse on frames as they come: as on the whole clip, each sample once, in bounded memory."""

import numpy as np
import pytest
import torch

from dataset.synthetic import signals
from neural_methods import checkpoint, chosen
from neural_methods.model.grid_pulse import GridPulse
from neural_methods.streaming import LATE, SECONDS, GridStream


def network():
    """With the weights that come with the toolbox."""
    model = GridPulse()
    model.load_state_dict(checkpoint.read_weights(chosen.shipped("GridPulse")))
    return model.eval()


def faces(seconds=24.0, fs=30.0, number=5):
    """Pictures (T, 4, 4, 3) of a pulse in steady light, with a camera's noise."""
    found = signals.draw(
        (5, number), round(seconds * fs), fs, without=[one for one in signals.EFFECTS if one != "sensor"]
    )
    return found.colours.reshape(-1, 4, 4, 3)


def streamed(stream, pictures, times):
    """All pieces: times, wave, and the frame times at which they came."""
    pieces = [(time, piece) for time, face in zip(times, pictures, strict=True) if (piece := stream.push(time, face))]
    came = np.concatenate([np.full(len(piece.times), time) for time, piece in pieces])
    return (*(np.concatenate([getattr(piece, key) for _, piece in pieces]) for key in ("times", "wave")), came)


@pytest.mark.parametrize("fs", [30.0, 60.0])
def test_pieces_join_to_the_wave_of_the_whole_clip(fs):
    """At the camera's own rate; each sample once, at even times, late by no more than two readings."""
    model, pictures = network(), faces(fs=fs)
    own = np.arange(len(pictures)) / fs
    times, wave, came = streamed(GridStream(model), pictures, own)
    assert np.allclose(np.diff(times), 1 / 30) and (came - times >= LATE - 1e-9).all()
    assert (came - times)[times > SECONDS].max() <= LATE + 0.5 + 2 / fs + 1 / 30
    step = round(fs / 30)
    with torch.no_grad():
        whole = model(torch.from_numpy(pictures[::step].transpose(3, 0, 1, 2).copy())[None])[0][0].numpy()
    inside = times > 2
    rows = np.round(times[inside] * 30).astype(int)
    assert np.corrcoef(wave[inside], whole[rows])[0, 1] > 0.9


def test_memory_does_not_grow_and_a_gap_starts_anew():
    """Of ten seconds at most; after a second without frames nothing of before is used."""
    stream, pictures = GridStream(network()), faces(12.0)
    for row in range(2 * len(pictures)):
        stream.push(row / 30, pictures[row % len(pictures)])
    assert len(stream._kept) <= SECONDS * 30 + 1
    assert stream.push(2 * len(pictures) / 30 + 1.5, pictures[0]) is None and len(stream._kept) == 1


@pytest.mark.parametrize(
    ("time", "face", "words"),
    [
        (0.5, np.ones((4, 4, 3)), "times must grow"),
        (np.nan, np.ones((4, 4, 3)), "times must grow"),
        (2.0, np.ones((4, 4)), r"\(H, W, 3\)"),
        (2.0, np.ones((0, 4, 3)), r"\(H, W, 3\)"),
    ],
)
def test_what_is_no_next_face_is_refused(time, face, words):
    """One sentence, and the stream goes on."""
    stream = GridStream(network())
    stream.push(1.0, np.ones((5, 7, 3)))
    with pytest.raises(ValueError, match=words):
        stream.push(time, face)
    assert stream.push(1.1, np.ones((5, 7, 3))) is None
