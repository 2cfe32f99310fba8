"""Transfer of weights to vLLM: pieces of bounded size, and checksums on both ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import torch

PIECE_BYTES = 64 << 20
BANNED = "banned ids"  # key among the checksums
_CHUNK_WORDS = 1 << 24
_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def checksum(tensor: torch.Tensor) -> str:
    """128 bits that depend on every bit of a tensor and on the order of its elements.

    Two integer sums, plain and weighted by position (as Fletcher 1982, DOI 10.1109/TCOM.1982.1095369,
    modulo 2^64): equal on every device, at memory speed. Detects faults, not deliberate changes.
    """
    words = tensor.detach().contiguous().view(-1).view(_WORDS[tensor.element_size()])
    plain, weighted = 0, 0
    for start in range(0, len(words), _CHUNK_WORDS):
        part = words[start : start + _CHUNK_WORDS].to(torch.int64)
        positions = torch.arange(start + 1, start + 1 + len(part), device=part.device)
        plain += int(part.sum())
        weighted += int((part * positions).sum())
    return f"{plain % 2**64:016x}{weighted % 2**64:016x}"


def checksum_of_ids(ids: Sequence[int]) -> str:
    """Checksum of the banned ids: they change the sampled distribution as a weight does."""
    return checksum(torch.tensor(list(ids), dtype=torch.int64))


def weights_digest(checksums: Mapping[str, str]) -> str:
    """One digest of all weights of a model."""
    lines = "\n".join(f"{name} {checksums[name]}" for name in sorted(checksums))
    return hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()


def split_into_pieces(tensor: torch.Tensor, size: int = PIECE_BYTES) -> Iterator[torch.Tensor]:
    """A tensor's bytes as pieces ([n] uint8, CPU) of at most `size`; at least one piece."""
    flat = tensor.detach().contiguous().view(-1)
    step = max(1, size // tensor.element_size())
    for start in range(0, max(1, len(flat)), step):
        yield flat[start : start + step].cpu().view(torch.uint8)


class TensorAssembler:
    """Builds a tensor from its pieces."""

    def __init__(self, dtype: str, shape: tuple[int, ...]) -> None:
        torch_dtype = getattr(torch, dtype, None)
        if not isinstance(torch_dtype, torch.dtype):
            raise ValueError(f"{dtype} is not a dtype of torch")
        self._tensor = torch.empty(shape, dtype=torch_dtype)
        self._filled = 0

    def add(self, piece: torch.Tensor) -> torch.Tensor | None:
        """Adds the next piece ([n] uint8); returns the tensor when it is complete, else None."""
        target = self._tensor.view(-1).view(torch.uint8)
        if self._filled + len(piece) > len(target):
            raise ValueError("more bytes than the tensor has")
        target[self._filled : self._filled + len(piece)] = piece
        self._filled += len(piece)
        return self._tensor if self._filled == len(target) else None
