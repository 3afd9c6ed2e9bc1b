"""YOLO5Face: the name is known, so that a YAML file that asks for it is told what to do."""

from registry import DETECTORS


@DETECTORS.register("Y5F")
class YOLO5Face:
    """Placeholder: raises on construction."""

    def __init__(self):
        """Raise the ValueError that says what to do."""
        raise ValueError(
            "The face detector Y5F (YOLO5Face) is not available yet. Set PREPROCESS.CROP_FACE.BACKEND: HC."
        )
