"""Counts the operations and bytes of a computation on fake tensors, as if it ran on a GPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import PropertyMock, patch

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Operations that move no data.
_VIEWS = frozenset(
    [
        "view",
        "_unsafe_view",
        "t",
        "transpose",
        "permute",
        "expand",
        "slice",
        "select",
        "unsqueeze",
        "squeeze",
        "alias",
        "detach",
        "split",
        "split_with_sizes",
        "unbind",
        "as_strided",
        "reshape",
        "_reshape_alias",
        "device",
        "empty",
        "empty_like",
        "empty_strided",
        "new_empty",
    ]
)
_GATHERS = frozenset(["gather", "index_select", "embedding"])  # read only what they return


class Traffic(TorchDispatchMode):
    """Operations by name, bytes that they read and write, and bytes of the largest result."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.largest = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.split("::")[1]
        if name not in _VIEWS:
            self.operations[name] += 1
            sizes = [_size(tensor) for tensor in _tensors(result)]
            written, self.largest = sum(sizes), max([self.largest, *sizes])
            read = written if name in _GATHERS else sum(map(_size, _tensors((args, kwargs))))
            self.bytes[name] += read + written
        return result


def _tensors(values: Any) -> list[torch.Tensor]:
    """The distinct tensors: an in-place operation's output is also an input."""
    return list({id(leaf): leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)}.values())


def _size(tensor: torch.Tensor) -> int:
    """Bytes in memory: an expanded dimension has none."""
    elements = 1
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= length if stride else 1
    return elements * tensor.element_size()


@contextmanager
def fake_gpu() -> Iterator[None]:
    """Tensors made here have no data and take the code paths of a GPU."""
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        patch.object(FakeTensor, "is_cuda", PropertyMock(return_value=True), create=True),
    ):
        yield
