"""Frame times in the order in which frames are shown.

ASF (WMV) and AVI keep one time per packet, in the order of decoding. Where pictures are decoded in another order than
they are shown, each gets the time of another one nearby: the pictures are in order, their times are permuted.
"""

import numpy as np

FARTHEST = 16  # frames that a decoder may hold back: the limit of H.264


def in_order(times: np.ndarray) -> tuple[np.ndarray, int]:
    """`times` (T,) sorted, and how many of them moved; as they are, and 0, where they are not merely permuted nearby.

    A clock that jumps back for good (files joined to one) stays as it is: its judge names it.
    """
    times = np.asarray(times, dtype=np.float64)
    if len(times) < 3 or not np.isfinite(times).all() or (np.diff(times) >= 0).all():
        return times, 0
    order = np.argsort(times, kind="stable")
    moved = np.abs(order - np.arange(len(times)))
    return (times, 0) if moved.max() > FARTHEST else (times[order], int(np.count_nonzero(moved)))
