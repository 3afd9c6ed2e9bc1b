"""Whose heart is it? Networks that learn from pairs of clips of two people, and a baseline that only compares rates.

Training reads pairs; validation and test read every clip once, since each leaves a vector by itself, and the pairs are
made of these. All methods here have the kind of output `pair`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from dataset.pair_lists import Clip, pairs_of
from dataset.pairs import Hearts, PairDataset, hearts_of, require_people
from dataset.perturbing import PERTURBATIONS, Perturbed
from evaluation.consensus import VOTERS
from evaluation.pairing import rightness, trials
from neural_methods import distributed
from neural_methods.model.legacy_pair import LegacyPair
from neural_methods.model.pair_net import PairNet, choice_loss, levels_of, scores
from neural_methods.needs import BANDS
from neural_methods.trainer.base import Needs, Trainer
from neural_methods.trainer.passes import frame_rates
from registry import METHODS, did_you_mean
from unsupervised_methods.rates import COMPARED, rate_told, wave_of_colours, waves_of_colours

PAIR, HEART, RATE = "pair", "pair_heart", "pair_rate"  # outputs: of a video, of its heart, of the baseline
AUXILIARY, NEAR = 0.1, 10.0  # weight of the error of the rate that the video tells; bpm that are one of it
LINEAR = {"Raw", "Standardized"}  # types of frames of which the mean of pixels is that of their mean
SYMMETRY = (
    "this network of the thesis gives the same answer whichever video comes first, while the right answer is the other "
    "one: it cannot do better than chance, whatever it learns."
)
ALIKE = (
    "TRAIN.DATA: the rates of these people differ too much for all clips to be shown at the same ones, so that a face "
    "tells something of its rate. A larger MODEL.PAIR.SPEED, shorter clips or longer recordings mend that."
)
OPTIONS = {
    "PAIR": {
        "PAIRS_PER_EPOCH": 512,
        "MAX_EVAL_PAIRS": 2000,  # of validation, and of test: a fixed list, stratified over the difference of the rates
        "MIN_DELTA_HR": 0.0,  # bpm that the two rates differ by at least
        "TRAIN_PAIRS": "",  # where tools.pairing.data writes the pairs of the first epoch, to look at
        "VALID_PAIRS": "",  # file of the fixed list: read where it is there, else made; '': drawn, and kept nowhere
        "TEST_PAIRS": "",
        "SPEED": 1.5,  # training clips run 1/(1+s) to 1+s times as fast, so that a face does not tell its rate; 0: not
        "SCORE": "distance",  # or dot
        "BOTH": True,  # learn to choose the heart of a video, too
        "BATCH": True,  # ... and among all clips of the batch; with ACCUMULATION_STEPS above 1: False
        "WEIGHT_DECAY": 1e-4,
        "BASELINE": "POS",  # classical method whose rates decide beside the network; of PairRate, by itself
        "COMPARE": "spectrum",  # by the likelihood of the heart's rate; peak: by the rate at the highest peak
        "PERTURB": [],  # inverted, masked, static, grey, shuffled_time: test these, too
        "PERMUTATIONS": 1000,  # of people, for the p that counts
        "GREY": False,  # the mean of the channels instead of colours
        "MODEL_PATH": "models",  # where tools.pairing.train puts the weights that were tested
    }
}


class PairTrainer(Trainer):
    """What the methods share: pairs in training, vectors of clips in validation and test."""

    OPTIONS = OPTIONS
    needs = Needs(signals=(), optional=())
    heads = {PAIR: "pair"}
    schedule = "one_cycle"
    unused_parameters = True  # the rate's layer, without its loss
    rule = "distance"

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """ValueError for options that cannot be."""
        self.pair = config.MODEL.PAIR
        check(self.pair)
        self.weight_decay = float(self.pair.WEIGHT_DECAY)
        self.features: np.ndarray | None = None
        self.dropped: dict[str, str] = {}
        super().__init__(config, device)

    @property
    def channels(self) -> int:
        """Of the normalised video."""
        return 1 if self.pair.GREY else BANDS["RGB"] * len(self.data_types)

    def data(self, clips: Dataset, section: str) -> Dataset:
        """Pairs for training; else every clip with what its heart did."""
        pair = self.pair
        if section == "train":
            made = PairDataset(
                clips, self.settings.seed, int(pair.PAIRS_PER_EPOCH), float(pair.MIN_DELTA_HR), self.speed
            )
            self.features = np.stack([one.heart.features for one in made.hearts.windows])
            hearts = made.hearts
            if self.speed and made.shown is None:
                distributed.say(ALIKE)
        else:
            made = HeartClips(clips)
            hearts = made.hearts
            require_people(hearts, section, float(pair.MIN_DELTA_HR))
        if hearts.note and self.dropped.get(section) != hearts.note:
            distributed.say(f"{section.upper()}.DATA: {hearts.note}")
        self.dropped[section] = hearts.note
        return made

    @property
    def speed(self) -> float:
        """By how much training clips change their speed."""
        return float(self.pair.SPEED)

    def augment(self, batch: dict[str, Any], epoch: int) -> dict[str, Any]:
        """The clips of both sides one below the other, each changed by itself."""
        return super().augment(side_by_side(batch), epoch)

    def normalise(self, batch: dict[str, Any]) -> dict[str, Any]:
        """As any video, with mean colours (B, T, 3) and levels (B, 1 or 3, 4, 4) of the frames as they came."""
        frames = batch["video"].float()
        colours, levels = frames.mean(dim=(3, 4)).transpose(1, 2), levels_of(frames)
        made = {**super().normalise(batch), "colours": colours, "levels": levels}
        if self.pair.GREY:
            made |= {name: made[name].mean(dim=1, keepdim=True) for name in ("video", "levels")}
        return made

    def prepare(self, batch: dict[str, Any]) -> dict[str, Any]:
        """With the rate (B,) of the frames, in Hz."""
        return {**batch, "rates": frame_rates(batch, self.fs).to(self.device).float()}

    def predict(self, model: nn.Module, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Vectors of videos and hearts, and the interval that the video tells of."""
        more = () if self.rule == "symmetric" else (batch["levels"], batch["classical"])
        videos, hearts, told = model(batch["video"], batch["heart"], batch["rates"], *more)
        return {PAIR: videos, HEART: hearts, "told": told}

    def validation_rows(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any]) -> list[Any]:
        """Of each clip its person, rate, names and vectors."""
        vectors = [outputs[name].cpu().numpy() for name in (PAIR, HEART)]
        rates = 60_000.0 / batch["heart"][:, 0].cpu().numpy().astype(float)
        names = zip(batch["recording"], batch["subject"], batch["clip"].tolist(), strict=True)
        return [
            (Clip(recording, person, int(clip), float(rate)), *both)
            for (recording, person, clip), rate, *both in zip(names, rates, *vectors, strict=True)
        ]

    def validation_score(self, rows: list[Any]) -> float:
        """1 - accuracy on the fixed list of validation; the loss decides between equal ones."""
        rows = sorted(rows, key=lambda row: (row[0].recording, row[0].clip))
        clips, videos, hearts = (
            [row[0] for row in rows],
            *(np.stack(part) for part in list(zip(*rows, strict=True))[1:]),
        )
        pairs = pairs_of(clips, *list_options(self.pair, "VALID", self.settings.seed))
        _, people = np.unique([one.person for one in clips], return_inverse=True)
        found = trials(pairs, people, videos, hearts, np.array([one.rate for one in clips]), self.rule)
        signed = np.where(found.second > 0.5, 1.0, -1.0) * found.logit
        loss = float(np.logaddexp(0.0, -signed).mean())
        return 1.0 - float(rightness(found.logit, found.second).mean()) + 1e-6 * loss / (1.0 + loss)

    def predictions(self, network: nn.Module, clips: Dataset, section: str = "test") -> dict[str, Any]:
        """Vectors of every clip, of a test with those of the clips as PERTURB changes them (`pair.static` ...)."""
        found = super().predictions(network, clips, section)
        for name in self.pair.PERTURB if section == "test" else ():
            changed = super().predictions(network, Perturbed(clips, str(name), self.settings.seed), section)
            for recording, parts in changed.items():
                for clip, values in parts.items():
                    found[recording][clip] |= {f"{key}.{name}": values[key] for key in (PAIR, RATE)}
        return found

    def finish(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """With what the baseline tells of the rate of each clip, and what the heart really did."""
        return {**outputs, RATE: self.told_by_colours(batch), "heart": batch["heart"].float()}

    def told_by_colours(self, batch: Mapping[str, Any]) -> torch.Tensor:
        """What BASELINE tells of the rates of the clips, (B, R) or (B, 1) as COMPARE says."""
        name, how = str(self.pair.BASELINE), str(self.pair.COMPARE)
        waves = [(wave_of_colours(*one, name), one[1]) for one in colours_of(batch)]
        return torch.from_numpy(np.stack([rate_told(*one, how) for one in waves]))

    def checkpoint_options(self) -> dict[str, Any]:
        """What the network is, not how it was trained."""
        return {"PAIR": {"SCORE": str(self.pair.SCORE), "GREY": bool(self.pair.GREY)}}

    def origin(self) -> dict[str, Any]:
        """With the rate (Hz) at which clips are read."""
        data = self.config[self.section].DATA
        return {**super().origin(), "fs": float(data.get("RESAMPLE_FS", 0.0) or data.FS)}

    def evaluation_options(self, head: str) -> dict[str, Any]:
        """How pairs are made and scored."""
        path, most, least, seed = list_options(self.pair, "TEST", self.settings.seed)
        return {
            "rule": self.rule,
            "baseline": str(self.pair.BASELINE),
            "compared": COMPARED[str(self.pair.COMPARE)],
            "perturbed": [str(one) for one in self.pair.PERTURB],
            "pairs": path,
            "most": most,
            "min_delta": least,
            "seed": seed,
            "draws": int(self.pair.PERMUTATIONS),
        }


@METHODS.register("PairNet21")
class PairNet21Trainer(PairTrainer):
    """Spatial, then temporal convolutions."""

    factorised = True

    @property
    def rule(self) -> str:
        """As SCORE says."""
        return str(self.pair.SCORE)

    def build_model(self) -> nn.Module:
        """The network, which knows the training hearts once there are any."""
        colours = 1 if self.pair.GREY else BANDS["RGB"]
        return PairNet(
            self.channels, self.factorised, stride=stride_of(self.frame_size), colours=colours, classical=self.classical
        )

    def normalise(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Large frames are averaged down first, as the network does: of types that are linear that is the same."""
        pool = pool_of(self.frame_size)
        if pool > 1 and LINEAR.issuperset(self.data_types):
            video = torch.nn.functional.avg_pool3d(batch["video"].float(), (1, pool, pool))
            following = torch.nn.functional.avg_pool2d(batch["next_frame"].float(), pool)
            batch = {**batch, "video": video, "next_frame": following}
        return super().normalise(batch)

    def prepare(self, batch: dict[str, Any]) -> dict[str, Any]:
        """With the waves (B, V, T) of classical methods; none of grey frames."""
        batch = super().prepare(batch)
        found = [waves_of_colours(*one, VOTERS) for one in colours_of(batch)] if self.classical else []
        none = torch.zeros(len(batch["video"]), 0, batch["video"].shape[2])
        waves = torch.from_numpy(np.stack(found)).float() if found else none
        return {**batch, "classical": waves.to(self.device)}

    @property
    def classical(self) -> int:
        """How many of them."""
        return 0 if self.pair.GREY else len(VOTERS)

    def start(self) -> nn.Module:
        """The network with mean and spread of the training hearts."""
        network = super().start()
        if self.features is not None:
            network.heart.know(torch.from_numpy(self.features))
        return network

    def loss(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any], epoch: int) -> dict[str, torch.Tensor]:
        """Both trials of a pair at once, and a little of the rate that the video tells."""
        both = bool(self.pair.BOTH)
        videos, hearts = (torch.stack(outputs[name].chunk(2), dim=1) for name in (PAIR, HEART))
        choice = loss = choice_loss(scores(videos, hearts, self.rule), both)
        if self.pair.BATCH:
            every = scores(outputs[PAIR][None], outputs[HEART][None], self.rule)
            loss = (choice + choice_loss(every, both)) / 2
        told = torch.nn.functional.smooth_l1_loss(outputs["told"] / NEAR, 60_000.0 / batch["heart"][:, 0] / NEAR)
        return {"loss": loss + AUXILIARY * told, "choice": choice.detach(), "rate": told.detach()}

    @property
    def loss_mixes_samples(self) -> bool:
        """With BATCH each clip is compared with all of its batch."""
        return bool(self.pair.BATCH)


@METHODS.register("PairNetProj")
class PairNetProjTrainer(PairNet21Trainer):
    """Plain 3-D convolutions."""

    factorised = False


class LegacyTrainer(PairTrainer):
    """The networks of the thesis: grey frames at 0-255, features as they are, one loss for both trials."""

    rule = "symmetric"
    notes = (SYMMETRY,)
    needs = Needs(signals=(), optional=(), one_size=True)
    schedule = "constant"

    def build_model(self) -> nn.Module:
        """Tied to the size of the clips; ValueError where they may have any length."""
        if self.chunk_length is None:
            raise ValueError(f"{self.name} is tied to the length of its clips: set PREPROCESS.CHUNK_LENGTH.")
        return LegacyPair(self.name, (self.chunk_length, *self.frame_size))

    @property
    def speed(self) -> float:
        """Clips ran as they were filmed."""
        return 0.0

    def normalise(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Grey levels."""
        grey = batch["video"].float().mean(dim=1, keepdim=True)
        return {**super().normalise(batch), "video": grey}

    def loss(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any], epoch: int) -> dict[str, torch.Tensor]:
        """Binary cross-entropy of both trials."""
        first, second = outputs[PAIR].chunk(2)
        total = 0.0
        for truth, heart in enumerate(outputs[HEART].chunk(2)):
            said = LegacyPair.decide(first, second, heart).clamp(1e-6, 1 - 1e-6)
            total = total + torch.nn.functional.binary_cross_entropy(said, torch.full_like(said, float(truth)))
        return {"loss": total / 2}


@METHODS.register("legacy_cnn_proj")
class LegacyProjTrainer(LegacyTrainer):
    """With projections and max-pooling."""


@METHODS.register("legacy_cnn21")
class Legacy21Trainer(LegacyTrainer):
    """With kernels taken apart and average-pooling."""


# --- Parts ------------------------------------------------------------------------------------------------------------


class HeartClips(Dataset):
    """The clips whose heart is known, each with `heart` (2,) float32."""

    def __init__(self, clips: Any):
        """`clips`: a ClipDataset, or one that passes its answers on."""
        self.clips = clips
        self.hearts: Hearts = hearts_of(clips)

    def __len__(self) -> int:
        """Clips that can be used."""
        return len(self.hearts.windows)

    def clip_lengths(self) -> list[int]:
        """Frames of each."""
        lengths = self.clips.clip_lengths()
        return [lengths[one.place] for one in self.hearts.windows]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample with this number."""
        window = self.hearts.windows[int(index)]
        sample = {**self.clips[window.place], "index": int(index)}
        return {**sample, "heart": torch.from_numpy(window.heart.features)}


def side_by_side(batch: Mapping[str, Any]) -> dict[str, Any]:
    """A batch of B pairs as one of 2 B clips: the first of all pairs, then the second."""
    flat = dict(batch)
    for name in [name for name in batch if name.startswith("other_")]:
        flat[name.removeprefix("other_")] = torch.cat([batch[name.removeprefix("other_")], flat.pop(name)])
    flat["index"] = torch.cat([2 * batch["index"], 2 * batch["index"] + 1])
    return flat


def colours_of(batch: Mapping[str, Any]) -> list[tuple[np.ndarray, float]]:
    """Mean colours (T, 3) and rate (Hz) of each clip."""
    rates = batch["rates"].tolist()
    return list(zip(batch["colours"].cpu().numpy().astype(float), rates, strict=True))


def list_options(pair: Mapping[str, Any], section: str, seed: int) -> tuple[str, int, float, int]:
    """File, size, least difference and seed of the fixed list of "VALID" or "TEST"."""
    return str(pair[f"{section}_PAIRS"]), int(pair.MAX_EVAL_PAIRS), float(pair.MIN_DELTA_HR), seed


def stride_of(size: tuple[int, int]) -> int:
    """Of the first stage in space: frames of 32 pixels become 8."""
    return max(1, min(4, min(size) // 8))


def pool_of(size: tuple[int, int]) -> int:
    """Pixels along each side of a frame that the network takes together."""
    return max(1, min(size) // (8 * stride_of(size)))


def check(pair: Mapping[str, Any]) -> None:
    """ValueError, which names the key, for options that cannot be."""
    least = {"PAIRS_PER_EPOCH": 1, "MAX_EVAL_PAIRS": 1, "MIN_DELTA_HR": 0, "SPEED": 0, "PERMUTATIONS": 99}
    for name, low in least.items():
        if not pair[name] >= low:
            raise ValueError(f"MODEL.PAIR.{name} is {pair[name]!r}, but must be {low} or more.")
    for name, known in {"SCORE": ("distance", "dot"), "COMPARE": tuple(COMPARED)}.items():
        if pair[name] not in known:
            raise ValueError(f"MODEL.PAIR.{name} is {pair[name]!r}, but must be {' or '.join(known)}.")
    for name in pair.PERTURB:
        if name not in PERTURBATIONS:
            known = ", ".join(PERTURBATIONS)
            raise ValueError(f"MODEL.PAIR.PERTURB names {name!r}.{did_you_mean(name, PERTURBATIONS)} Known: {known}.")
