"""Vector quantisation with unit codes that follow the data by moving averages, without a one-hot matrix.

van den Oord, Vinyals and Kavukcuoglu, "Neural discrete representation learning", NeurIPS 2017 (appendix A: the moving
averages); Yu et al., "Vector-quantized image modeling with improved VQGAN", ICLR 2022 (unit codes); Dhariwal et al.,
"Jukebox", 2020 (dead codes start anew). Names of buffers are those of CM-SSL's files.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from neural_methods import distributed

EPS = 1e-5  # of the smoothed sizes
SIMILARITIES = 1 << 22  # between vectors and codes that are held at once: 16 MB
OWN = ("idle", "use")  # buffers that CM-SSL's files do not have


class Quantised(NamedTuple):
    """`codes` (..., D) with the gradient of the vectors, `tokens` (...) int64, `commitment` a scalar."""

    codes: torch.Tensor
    tokens: torch.Tensor
    commitment: torch.Tensor


class Codebook(nn.Module):
    """K unit codes (K, D), how many vectors each has (K,), and the sums (K, D) that the codes are made of.

    idle   updates since a code was last used       use   vectors of each code in this epoch
    """

    def __init__(self, codes: int, width: int, kmeans: bool = True):
        """`kmeans`: the codes are to be chosen from data before the first update."""
        super().__init__()
        weight = F.normalize(torch.randn(codes, width), dim=-1)
        self.register_buffer("initted", torch.tensor([not kmeans]))
        self.register_buffer("weight", weight)
        self.register_buffer("cluster_size", torch.zeros(codes))
        self.register_buffer("embed_avg", weight.clone())
        self.register_buffer("idle", torch.zeros(codes, dtype=torch.int64))
        self.register_buffer("use", torch.zeros(codes, dtype=torch.int64))

    def _load_from_state_dict(self, state, prefix, *others):
        for name in OWN:  # a file of CM-SSL starts with fresh counts
            state.setdefault(prefix + name, torch.zeros_like(getattr(self, name)))
        super()._load_from_state_dict(state, prefix, *others)


class Quantizer(nn.Module):
    """The nearest code of each vector, by the largest cosine; `update` moves the codes after an optimiser step."""

    def __init__(self, codes: int, width: int, decay: float = 0.99, dead_after: int = 256, kmeans: bool = True):
        """`dead_after`: updates without use until a code starts anew as one of the current vectors; 0: never."""
        super().__init__()
        self.embedding = Codebook(codes, width, kmeans)
        self.decay, self.dead_after = decay, dead_after
        self.counting = True  # False: this batch is here for its company alone
        self.clear()

    def clear(self) -> None:
        """Forget what was collected for an update that will not be made."""
        self._counts: torch.Tensor | None = None
        self._sums: torch.Tensor | None = None
        self._vectors: torch.Tensor | None = None

    def forward(self, vectors: torch.Tensor) -> Quantised:
        """Quantise (..., D); in training what the next `update` needs is collected."""
        with torch.autocast(vectors.device.type, enabled=False):
            unit = F.normalize(vectors.float(), dim=-1)
            flat = unit.detach().reshape(-1, unit.shape[-1])
            tokens = nearest(flat, self.embedding.weight)
            codes = self.embedding.weight[tokens].view_as(unit)
            if self.training and self.counting:
                self._collect(flat, tokens)
            commitment = (codes - unit).square().mean()
            return Quantised(unit + (codes - unit).detach(), tokens.view(unit.shape[:-1]), commitment)

    def _collect(self, flat: torch.Tensor, tokens: torch.Tensor) -> None:
        counts, sums = counted(flat, tokens, len(self.embedding.weight))
        self._counts = counts if self._counts is None else self._counts + counts
        self._sums = sums if self._sums is None else self._sums + sums
        self._vectors = flat

    @torch.no_grad()
    def update(self) -> None:
        """Move the codes by what all processes collected since the last time; all of them must call it.

        cluster_size <- d * cluster_size + (1 - d) * n, embed_avg <- d * embed_avg + (1 - d) * s, and a code is
        embed_avg / smoothed size at unit length. Draws from torch's generator, which must be the same everywhere.
        """
        if not self._complete():
            self.clear()
            return
        book, counts = self.embedding, distributed.add(self._counts)
        sums = distributed.add(self._sums)
        book.cluster_size.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        book.embed_avg.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        total = book.cluster_size.sum()
        smoothed = (book.cluster_size + EPS) / (total + len(counts) * EPS) * total
        book.weight.copy_(F.normalize(book.embed_avg / smoothed.clamp(min=1e-12)[:, None], dim=-1))
        book.use += counts.long()
        book.idle.add_(1).masked_fill_(counts > 0, 0)
        if self.dead_after:
            self._revive((book.idle >= self.dead_after).nonzero()[:, 0])
        self.clear()

    def _complete(self) -> bool:
        """Whether anything was collected anywhere, and all of it are numbers."""
        width = self.embedding.weight.shape
        if self._counts is None:  # of a process whose share of the last batch was nothing
            self._counts = self.embedding.weight.new_zeros(width[0])
            self._sums = self.embedding.weight.new_zeros(width)
            self._vectors = self.embedding.weight[:0]
        state = torch.stack([self._counts.sum(), (~torch.isfinite(self._sums)).any().to(self._counts.dtype)])
        found = distributed.add(state)
        return bool(found[0] > 0) and not bool(found[1])

    def _revive(self, dead: torch.Tensor) -> None:
        """Dead codes become vectors of this update, with the size of one vector."""
        if not len(dead):
            return
        held = distributed.gather(self._vectors.cpu())  # in the order of the batch, whatever the number of processes
        vectors = torch.cat(held).to(self.embedding.weight.device)
        chosen = vectors[torch.randint(len(vectors), (len(dead),)).to(vectors.device)]
        self.start(chosen, torch.ones(len(dead), device=chosen.device), dead)

    @torch.no_grad()
    def start(self, codes: torch.Tensor, sizes: torch.Tensor, rows: torch.Tensor | slice = slice(None)) -> None:
        """Set codes (k, D), their sizes (k,) and averages together; codes are the same before and after an update."""
        book = self.embedding
        unit = F.normalize(codes, dim=-1)
        book.weight[rows] = unit
        book.cluster_size[rows] = sizes
        book.embed_avg[rows] = unit * sizes[:, None]
        book.idle[rows] = 0
        book.initted.fill_(True)


@torch.no_grad()
def nearest(unit: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Number of the code (K, D) with the largest cosine to each unit vector (n, D); (n,) int64."""
    step = min(len(unit), max(1, SIMILARITIES // len(codes)))
    tokens = unit.new_empty(len(unit), dtype=torch.int64)
    held = unit.new_empty(step, len(codes))  # one piece of memory for all chunks: others would lie between their own
    for start in range(0, len(unit), max(1, step)):
        part = unit[start : start + step]
        torch.argmax(torch.mm(part, codes.T, out=held[: len(part)]), dim=1, out=tokens[start : start + step])
    return tokens


def counted(vectors: torch.Tensor, tokens: torch.Tensor, codes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """How many vectors (n, D) each of `codes` has, (K,), and their sums, (K, D)."""
    counts = torch.bincount(tokens, minlength=codes).to(vectors.dtype)
    return counts, vectors.new_zeros(codes, vectors.shape[1]).index_add_(0, tokens, vectors)


@torch.no_grad()
def spherical_kmeans(vectors: torch.Tensor, codes: int, steps: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """`codes` unit centres (K, D) of vectors (n, D) and their sizes (K,), after Dhillon and Modha, 2001.

    A centre that nobody is nearest to becomes a vector drawn from all. ValueError for fewer vectors than codes.
    """
    if len(vectors) < codes:
        raise ValueError(f"{len(vectors)} vectors cannot start {codes} codes: lower CODES, or bring more windows.")
    unit = F.normalize(vectors.float(), dim=-1)
    centres = unit[torch.randperm(len(unit))[:codes].to(unit.device)].clone()
    for _ in range(steps):
        counts, sums = counted(unit, nearest(unit, centres), codes)
        empty = (counts == 0) | (sums.norm(dim=-1) < 1e-6)
        spare = unit[torch.randint(len(unit), (codes,)).to(unit.device)]
        centres = F.normalize(torch.where(empty[:, None], spare, sums), dim=-1)
    counts, _ = counted(unit, nearest(unit, centres), codes)
    return centres, counts.clamp(min=1.0)


def health(use: torch.Tensor) -> dict[str, float]:
    """How codes are used, from vectors per code (K,): perplexity, unused, shares, least, most and mean use.

    Perplexity is the exponential of the entropy of use: as many codes used alike would have the same.
    """
    use = use.double()
    share = use / use.sum().clamp(min=1)
    entropy = -(share * share.clamp(min=1e-300).log()).sum()
    return {
        "perplexity": float(entropy.exp()),
        "unused": int((use == 0).sum()),
        "unused_share": float((use == 0).double().mean()),
        "top10_share": float(share.topk(min(10, len(share))).values.sum()),
        "least": int(use.min()),
        "most": int(use.max()),
        "mean": float(use.mean()),
    }
