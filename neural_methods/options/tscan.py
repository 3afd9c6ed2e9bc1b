"""The keys of TS-CAN."""

from neural_methods.options import Published

METHOD = Published("Tscan", {"TSCAN": {"FRAME_DEPTH": 10}})  # frames per temporal shift segment
