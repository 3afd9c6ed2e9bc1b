"""Encoder of one signal alone, taught to say the joint tokens of ECG and PPG.

CM-SSL, "Cross-modality self-supervision for unimodal physiological signals representation learning". Input: patches
(B, N, P) of one signal; output: (B, N, E). Names of layers are those of its files. Stochastic depth (Huang et al.,
2016) skips a layer's change, not its input, too, as CM-SSL's code does.
"""

import torch
from torch import nn

from neural_methods.model.tokenizer import SinePositions, TokenMaker, layer


class UnimodalEncoder(nn.Module):
    """Patches (B, N, P) -> (B, N, E)."""

    def __init__(
        self, patch: int = 125, width: int = 1024, heads: int = 16, layers: int = 12, dropout: float = 0.3,
        skip: float = 0.0, masked: bool = False,
    ):  # fmt: skip
        """`skip`: probability with which the last layer is skipped in training, less for those before."""
        super().__init__()
        self.width = width
        self.linear_projection = nn.Linear(patch, width)
        self.pe = SinePositions(width)
        self.layers = nn.ModuleList([layer(width, heads, dropout) for _ in range(layers)])
        self.skips = [skip * (number + 1) / layers for number in range(layers)]
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02) if masked else None

    def forward(self, patches: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`mask` (B, N) bool: patches whose content is hidden."""
        tokens = self.linear_projection(patches)
        if mask is not None:
            tokens = torch.where(mask[..., None], self.mask_token.to(tokens.dtype), tokens)
        tokens = self.pe(tokens)
        for one, skip in zip(self.layers, self.skips, strict=True):
            tokens = self._depth(one, tokens, skip)
        return tokens

    def _depth(self, one: nn.Module, tokens: torch.Tensor, skip: float) -> torch.Tensor:
        if not (self.training and skip):
            return one(tokens)
        kept = torch.rand(len(tokens), 1, 1, device=tokens.device) >= skip
        return torch.where(kept, one(tokens), tokens)


class TokenPredictor(nn.Module):
    """An encoder, what it says of each patch, and the tokenizer that knows better."""

    def __init__(self, tokenizer: TokenMaker, encoder: UnimodalEncoder, codes: int):
        """`codes`: words of the tokenizer."""
        super().__init__()
        self.tokenizer, self.encoder = tokenizer, encoder
        self.prediction_head = nn.Linear(encoder.width, codes)

    def forward(
        self, taught: torch.Tensor, seen: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches (B, N, C, P) for the tokenizer and (B, N, P) for the encoder -> scores (B, N, K), tokens (B, N)."""
        with torch.no_grad():
            tokens = self.tokenizer.tokens(taught)
        return self.prediction_head(self.encoder(seen, mask)), tokens
