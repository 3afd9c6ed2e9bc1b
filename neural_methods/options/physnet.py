"""The keys of PhysNet."""

from neural_methods.options import Published

METHOD = Published("Physnet", {"PHYSNET": {"FRAME_NUM": 64}})  # frames per clip
