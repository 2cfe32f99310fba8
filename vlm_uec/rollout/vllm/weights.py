"""Weights on their way to vLLM: pieces of bounded size, and checksums on both ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import torch

PIECE_BYTES = 64 << 20
BANNED = "banned ids"  # among the checksums
_CHUNK_WORDS = 1 << 24
_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def checksum(tensor: torch.Tensor) -> str:
    """128 bits that change with any bit, and with the order, of a tensor's elements.

    Two sums of whole numbers, plain and weighted by place (as Fletcher 1982, DOI 10.1109/TCOM.1982.1095369,
    modulo 2^64): the same on every device, at the speed of its memory. Against faults, not against forgers.
    """
    words = tensor.detach().contiguous().view(-1).view(_WORDS[tensor.element_size()])
    plain, placed = 0, 0
    for start in range(0, len(words), _CHUNK_WORDS):
        part = words[start : start + _CHUNK_WORDS].to(torch.int64)
        places = torch.arange(start + 1, start + 1 + len(part), device=part.device)
        plain += int(part.sum())
        placed += int((part * places).sum())
    return f"{plain % 2**64:016x}{placed % 2**64:016x}"


def checksum_of_ids(ids: Sequence[int]) -> str:
    """Of ids that are never drawn: they change what is sampled as a weight does."""
    return checksum(torch.tensor(list(ids), dtype=torch.int64))


def digest_of(checksums: Mapping[str, str]) -> str:
    """One word for a whole model's weights."""
    lines = "\n".join(f"{name} {checksums[name]}" for name in sorted(checksums))
    return hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()


def pieces(tensor: torch.Tensor, size: int = PIECE_BYTES) -> Iterator[torch.Tensor]:
    """A tensor's bytes ([n] uint8, CPU), at most `size` at a time; at least one piece."""
    flat = tensor.detach().contiguous().view(-1)
    step = max(1, size // tensor.element_size())
    for start in range(0, max(1, len(flat)), step):
        yield flat[start : start + step].cpu().view(torch.uint8)


class Assembly:
    """A tensor in the making, from its pieces."""

    def __init__(self, dtype: str, shape: tuple[int, ...]) -> None:
        kind = getattr(torch, dtype, None)
        if not isinstance(kind, torch.dtype):
            raise ValueError(f"{dtype} is no type of numbers")
        self._tensor = torch.empty(shape, dtype=kind)
        self._filled = 0

    def add(self, piece: torch.Tensor) -> torch.Tensor | None:
        """Takes the next piece ([n] uint8); the tensor, once it is whole."""
        target = self._tensor.view(-1).view(torch.uint8)
        if self._filled + len(piece) > len(target):
            raise ValueError("more bytes than the tensor holds")
        target[self._filled : self._filled + len(piece)] = piece
        self._filled += len(piece)
        return self._tensor if self._filled == len(target) else None
