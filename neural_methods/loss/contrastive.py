"""Losses of methods that compare two views of each window, computed in float32.

Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020 (NT-Xent); van den Oord,
Li and Vinyals, 2018 (InfoNCE); Grill et al., "Bootstrap your own latent", NeurIPS 2020 (2 - 2 cos); Chen and He,
"Exploring simple Siamese representation learning", CVPR 2021 (- cos).
"""

import torch
import torch.nn.functional as F

from neural_methods import distributed


def nt_xent(first: torch.Tensor, second: torch.Tensor, temperature: float) -> torch.Tensor:
    """Each of 2 B views (B, E) must find its partner among all other views, those of other processes included."""
    ours = F.normalize(torch.cat([first, second]).float(), dim=-1)
    every, start = distributed.gathered(ours)
    scores = ours @ every.T / temperature
    own = start + torch.arange(len(ours), device=ours.device)
    scores = scores.scatter(1, own[:, None], float("-inf"))
    return F.cross_entropy(scores, start + torch.arange(len(ours), device=ours.device).roll(len(first)))


def info_nce(query: torch.Tensor, key: torch.Tensor, temperature: float) -> torch.Tensor:
    """Each query (B, E) must find its key among those of the batch; times 2 T, as MoCo v3 scales it."""
    query, key = F.normalize(query.float(), dim=-1), F.normalize(key.float(), dim=-1)
    every, start = distributed.gathered(key)
    scores = query @ every.T / temperature
    return 2 * temperature * F.cross_entropy(scores, start + torch.arange(len(query), device=query.device))


def negative_cosine(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean of - cos over the batch; no gradient flows into `target`."""
    return -F.cosine_similarity(predicted.float(), target.detach().float(), dim=-1).mean()


def bootstrap(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean of 2 - 2 cos over the batch; no gradient flows into `target`."""
    return 2 + 2 * negative_cosine(predicted, target)


def spread(features: torch.Tensor) -> torch.Tensor:
    """Mean spread of unit vectors (B, E) times the root of E: 1 where they fill the sphere, 0 where all are alike."""
    unit = F.normalize(features.detach().float(), dim=-1)
    return unit.std(dim=0, unbiased=False).mean() * unit.shape[-1] ** 0.5
