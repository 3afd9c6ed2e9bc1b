"""The keys of BigSmall."""

from neural_methods.options import Published

METHOD = Published("BigSmall", {"BIGSMALL": {"FRAME_DEPTH": 3}}, measured=True)  # frames per temporal shift segment
