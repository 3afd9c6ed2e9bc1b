"""Two videos of somebody's own and a heart: scores by a trained network, and the files that a training leaves."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from config import dump, run_folder
from dataset.clips.batch import collate
from dataset.clips.hearts import NAMES, Heart
from dataset.pair_lists import Clip, pairs_csv, pairs_of
from dataset.pairs import PairDataset, hearts_of, require_people
from dataset.prepare.section import prepare
from evaluation import pairing, tables
from evaluation.settings import read_settings
from neural_methods import checkpoint, testing
from neural_methods.described import described
from neural_methods.run import draw_split, make_trainer, test, write_run_files
from neural_methods.trainer.pair import HEART, PAIR, PairTrainer, list_options
from registry import METHODS

BATCH = 4
MAPPING = ("experiment_type", "person_id", "filename", "sample_id", "sample_idx", "hr", "rr_mean", "rr_cv", "beats",
           "starttime", "endtime", "video_path", "rr_interval_path")  # fmt: skip
PARTS = {"train": "train", "valid": "val", "test": "test"}


def logit_of(weights: str | Path, videos: Sequence[str | Path], heart: Heart, device: str = "auto") -> float:
    """The logit that a heart is the second video's, by a network for pairs: the mean over the windows of each video.

    WeightsError or ValueError for weights of another kind of network, and for a video that is too short for it.
    """
    require_choosing(weights)
    with tempfile.TemporaryDirectory(prefix="pulsescope-") as scratch:
        vectors = [_vectors(weights, video, heart, Path(scratch) / str(number), device)
                   for number, video in enumerate(videos)]  # fmt: skip
    (first, own, rule), (second, _, _) = vectors
    score = pairing.RULES[rule]
    every = [score(one, other, own[0]) for one in first for other in second]
    return float(np.mean(every))


def require_choosing(weights: str | Path) -> None:
    """FileNotFoundError or ValueError for a file that is no network that can choose between two videos."""
    if not Path(weights).is_file():
        raise FileNotFoundError(f"{weights}: no such file of weights.")
    name = str(checkpoint.read_sidecar(weights).get("method", ""))
    if not name:
        raise ValueError(f"'{weights}' does not say what network it is: name a file that tools.pairing.train wrote.")
    if not (name in METHODS and issubclass(METHODS[name], PairTrainer)):
        raise ValueError(f"'{weights}' is of {name}, which reads other input than pairs. Name a network for pairs.")
    if METHODS[name].rule == "symmetric":
        raise ValueError(f"'{weights}' is of {name}, which cannot choose: it answers the same for both orders.")


@torch.no_grad()
def _vectors(
    weights: str | Path, video: str | Path, heart: Heart, scratch: Path, device: str
) -> tuple[np.ndarray, np.ndarray, str]:
    """Vectors of the windows of a video (n, D), of the heart (n, D), and the rule that scores them."""
    sidecar = checkpoint.read_sidecar(weights)
    data = {"DATA_PATH": str(video), "CACHED_PATH": str(scratch), "RESAMPLE_FS": float(sidecar.get("fs") or 0.0)}
    changed = [(f"TEST.DATA.{key}", value) for key, value in data.items()]
    config = described(str(weights), changed=[*changed, ("LOG.PATH", str(scratch / "log"))], device=device).config
    trainer = make_trainer(config)
    network = trainer.load(weights).eval()
    clips = prepare(config.TEST.DATA, "test", config).clips(labels=())
    found: dict[str, list[np.ndarray]] = {PAIR: [], HEART: []}
    features = torch.from_numpy(heart.features)
    for start in range(0, len(clips), BATCH):
        samples = [{**clips[number], "heart": features} for number in range(start, min(start + BATCH, len(clips)))]
        outputs = trainer.forward(network, trainer.enter(collate(samples)))
        for key, values in found.items():
            values.append(outputs[key].cpu().numpy().astype(float))
    return np.concatenate(found[PAIR]), np.concatenate(found[HEART]), trainer.rule


# --- Lists ----------------------------------------------------------------------------------------------------------


def write_mappings(config: Any, folder: Path) -> dict[str, str]:
    """Make the data of a configuration ready and list them in `folder`; part -> what it holds, in words.

    Samples are clips of the cache: a list names its file of faces and of signals, and the seconds of the clip.
    """
    trainer, chosen, said = make_trainer(config), draw_split(config), {}
    people: dict[str, set[str]] = {}
    for part, name in PARTS.items():
        prepared = prepare(chosen[part.upper()].DATA, part, chosen)
        clips = prepared.clips(**trainer.clip_options(part))
        hearts = hearts_of(clips)
        require_people(hearts, part, float(config.MODEL.PAIR.MIN_DELTA_HR))
        rows = [_mapping(clips, one, prepared) for one in hearts.windows]
        tables.write_text(folder / f"{name}_mapping.csv", tables.csv_text(MAPPING, rows))
        listed = [Clip(one.recording, one.person, one.clip, one.heart.rate, row["video_path"], row["rr_interval_path"])
                  for one, row in zip(hearts.windows, rows, strict=True)]  # fmt: skip
        count = _write_pairs(config, part, clips, sorted(listed, key=lambda one: (one.recording, one.clip)))
        people[part] = set(hearts.people)
        note = f"; {hearts.note}" if hearts.note else ""
        said[name] = f"{len(people[part])} people, {len(hearts.windows)} clips, {count} pairs{note}"
    shared = (
        (people["train"] & people["valid"]) | (people["train"] & people["test"]) | (people["valid"] & people["test"])
    )
    if shared:
        raise ValueError(f"{sorted(shared)[0]} is in two parts of the split, which must share nobody.")
    return said


def _write_pairs(config: Any, part: str, clips: Any, listed: list[Clip]) -> int:
    pair, seed = config.MODEL.PAIR, int(config.SEED)
    if part != "train":
        return len(pairs_of(listed, *list_options(pair, part.upper(), seed)))
    data = PairDataset(clips, seed, int(pair.PAIRS_PER_EPOCH), float(pair.MIN_DELTA_HR), float(pair.SPEED))
    places = {(one.recording, one.clip): number for number, one in enumerate(listed)}
    windows = data.hearts.windows
    drawn = [[places[windows[one[0]].recording, windows[one[0]].clip] for one in data.draw(0, index)]
             for index in range(len(data))]  # fmt: skip
    if pair.TRAIN_PAIRS:
        tables.write_text(Path(pair.TRAIN_PAIRS), pairs_csv(listed, np.array(drawn)))
    return len(drawn)


def _mapping(clips: Any, window: Any, prepared: Any) -> dict[str, Any]:
    number, start, stop, _ = clips.clips[window.place]
    track, folder = clips.tracks[number], Path(*prepared.entry(window.recording).path.parts[-2:])
    return {
        "experiment_type": prepared.dataset, "person_id": window.person, "filename": window.recording,
        "sample_id": window.id, "sample_idx": window.clip, "hr": window.heart.rate, "rr_mean": window.heart.interval,
        "rr_cv": window.heart.variation, "beats": window.heart.beats, "starttime": start / track.fs,
        "endtime": stop / track.fs, "video_path": str(folder / "faces.npy"),
        "rr_interval_path": str(folder / "signals.npz"),
    }  # fmt: skip


def evaluate(config: Any, weights: str | Path) -> None:
    """Test `weights` on the test part that a configuration draws, and publish."""
    trainer, chosen = make_trainer(config), draw_split(config)
    network = trainer.load(weights)
    prepared = prepare(chosen.TEST.DATA, "test", chosen)
    clips = prepared.clips(**trainer.clip_options("test"))
    write_run_files(config, trainer)
    heads = testing.heads_of(trainer, read_settings(config, "TEST"))
    test(config, trainer, network, prepared, clips, heads)


# --- What a training leaves -----------------------------------------------------------------------------------------


def collect(config: Any) -> list[Path]:
    """Put the tested weights, with configuration, features and metrics, where MODEL.PAIR.MODEL_PATH says."""
    run, out = run_folder(config), Path(config.MODEL.PAIR.MODEL_PATH)
    epoch = 0
    if (run / "state.pth").is_file():
        epoch = int(checkpoint.read_state(run / "state.pth")["progress"]["best_epoch"])
    name = config.TRAIN.MODEL_FILE_NAME or config.MODEL.NAME
    weights = Path(config.MODEL.MODEL_DIR) / f"{name}_Epoch{epoch}.pth"
    state = checkpoint.read_weights(weights)
    known = {key: state[f"heart.{key}"].tolist() for key in ("mean", "spread") if f"heart.{key}" in state}
    made = out / f"{name}.pt"
    checkpoint.write_bundle(made, weights, {"config": dump(config), "features": {"names": list(NAMES), **known}})
    paths = [made]
    for file in ("metrics.json", "history.csv", "report.md"):
        if (run / file).is_file():
            text = (run / file).read_text(encoding="utf-8")
            paths.append(tables.write_text(out / f"{name}_{file}", text))
    return paths
