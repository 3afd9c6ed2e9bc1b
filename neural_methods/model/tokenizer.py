"""Joint tokenizer of ECG and PPG: every second of both becomes one word of a vocabulary.

CM-SSL, "Cross-modality self-supervision for unimodal physiological signals representation learning". Input: patches
(B, N, C, P) of C channels, ECG first; output: the same patches from their codes. Names of layers are those of its
files. What differs: the vectors that are quantised are projected in the teacher as in training.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from neural_methods.model.quantizer import Quantised, Quantizer

POSITIONS = 1250


class SinePositions(nn.Module):
    """Adds the sine and cosine table of Vaswani et al., 2017, to (B, N, E)."""

    def __init__(self, width: int, length: int = POSITIONS):
        """A table of `length` positions."""
        super().__init__()
        places = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(1e4) / width))
        table = torch.zeros(1, length, width)
        table[0, :, 0::2], table[0, :, 1::2] = places.sin(), places.cos()[:, : width // 2]
        self.register_buffer("pe", table)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, N, E) with its places."""
        return tokens + self.pe[:, : tokens.shape[1]]


class PatchProjection(nn.Module):
    """The channels of a patch behind one another, through a linear layer: (B, N, C, P) -> (B, N, E)."""

    def __init__(self, size: int, width: int):
        """`size`: numbers of a patch, all channels."""
        super().__init__()
        self.linear = nn.Linear(size, width)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Project."""
        return F.gelu(self.linear(patches.flatten(2)))


class Layers(nn.Module):
    """Post-norm transformer layers under the name that CM-SSL's files have for them."""

    def __init__(self, name: str, width: int, heads: int, layers: int, dropout: float):
        """`name`: encoder or decoder."""
        super().__init__()
        self._name = name
        setattr(self, name, nn.TransformerEncoder(layer(width, heads, dropout), layers, enable_nested_tensor=False))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, N, E) -> the same."""
        return getattr(self, self._name)(tokens)


class Decoder(Layers):
    """From codes (B, N, D) to patches (B, N, C, P)."""

    def __init__(self, width: int, heads: int, layers: int, dropout: float, channels: int, patch: int):
        """Layers, then a head of three linear ones."""
        super().__init__("decoder", width, heads, layers, dropout)
        self.shape = (channels, patch)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, channels * patch),
        )  # fmt: skip

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Reconstruct."""
        return self.mlp(super().forward(codes)).unflatten(2, self.shape)


class TokenMaker(nn.Module):
    """From patches to tokens: all of the tokenizer but its decoder, and what teaches an encoder."""

    def __init__(
        self, channels: int = 2, patch: int = 125, width: int = 128, heads: int = 8, layers: int = 10,
        codes: int = 8192, code_width: int = 128, dropout: float = 0.1, decay: float = 0.99, dead_after: int = 256,
        kmeans: bool = True,
    ):  # fmt: skip
        """`channels` are those that are used; `layers` of the joint encoder."""
        super().__init__()
        self.te = PatchProjection(channels * patch, width)
        self.pe = SinePositions(width)
        self.je = Layers("encoder", width, heads, layers, dropout)
        self.proj = nn.Linear(width, code_width)
        self.quantizer = Quantizer(codes, code_width, decay, dead_after, kmeans)

    def vectors(self, patches: torch.Tensor) -> torch.Tensor:
        """(B, N, C, P) -> vectors (B, N, D) before they are quantised."""
        return self.proj(self.je(self.pe(self.te(patches))))

    def tokens(self, patches: torch.Tensor) -> torch.Tensor:
        """(B, N, C, P) -> numbers of codes (B, N)."""
        return self.quantizer(self.vectors(patches)).tokens


class JointTokenizer(TokenMaker):
    """The whole: patches, codes, patches again."""

    def __init__(
        self, channels: int = 2, patch: int = 125, code_width: int = 128, dropout: float = 0.1,
        decoder_heads: int = 4, decoder_layers: int = 2, **others,
    ):  # fmt: skip
        """`others`: of `TokenMaker`."""
        super().__init__(channels, patch, code_width=code_width, dropout=dropout, **others)
        self.de = Decoder(code_width, decoder_heads, decoder_layers, dropout, channels, patch)

    def forward(self, patches: torch.Tensor) -> tuple[torch.Tensor, Quantised]:
        """(B, N, C, P) -> the same from their codes, and the codes."""
        quantised = self.quantizer(self.vectors(patches))
        return self.de(quantised.codes), quantised


def layer(width: int, heads: int, dropout: float) -> nn.TransformerEncoderLayer:
    """A post-norm layer, four times as wide inside."""
    return nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, "gelu", batch_first=True)
