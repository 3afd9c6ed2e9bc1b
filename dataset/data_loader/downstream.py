"""Downstream: windows of one task, divided into training, validation and test, as tools/prepare_downstream.py writes.

    DATA_PATH/{train,val,test}_features.npy   (n, C, L) float32, mapped, not loaded
    DATA_PATH/{train,val,test}_labels.npy     (n,) or (n, K)
    DATA_PATH/{train,val,test}_subjects.npy   (n,)
    DATA_PATH/meta.json                       rate, window, channels, labels, units, task, classes

TRAIN, VALID and TEST read their own part. With SPLIT.KIND, or a fold, all people count and the parts do not.
"""

from pathlib import Path

from dataset.data_loader.base import BaseLoader
from dataset.files.downstream import open_downstream
from dataset.files.windows import Windows
from registry import DATASETS


@DATASETS.register("Downstream")
class DownstreamLoader(BaseLoader):
    """The windows of such a folder; its labels are targets by the names that meta.json gives them."""

    has_video, windows = False, True
    signals = ()

    def read_windows(self, root: Path) -> Windows:
        """All parts, each recording with the section it belongs to."""
        return open_downstream(root)
