"""Clips seen through a change: as many, with everything that the clips themselves have."""

from typing import Any

from torch.utils.data import Dataset


class AlteredClips(Dataset):
    """The samples of `inner`, each as `altered` leaves it; what is asked of it beside is answered by `inner`."""

    def __init__(self, inner: Any):
        """`inner`: a data set of samples that are dicts."""
        self.inner = inner

    def __len__(self) -> int:
        """As many."""
        return len(self.inner)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the clips' own."""
        if name.startswith("__") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample, altered."""
        return self.altered(dict(self.inner[index]), index)

    def altered(self, sample: dict[str, Any], index: int) -> dict[str, Any]:
        """The sample of `index` as it is to be seen; `sample` is a copy, its tensors are not."""
        raise NotImplementedError
