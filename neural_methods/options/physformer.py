"""The keys of PhysFormer's network."""

from neural_methods.options import Published

METHOD = Published(
    "PhysFormer",
    {
        "PHYSFORMER": {
            "PATCH_SIZE": 4,  # pixels of the feature map per token
            "DIM": 96,  # width of a token
            "FF_DIM": 144,  # width of the feed-forward layer
            "NUM_HEADS": 4,  # attention heads
            "NUM_LAYERS": 12,  # transformer layers
            "THETA": 0.7,  # share of the temporal difference in its convolutions
        }
    },
)
