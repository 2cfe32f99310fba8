"""Tunes the C library's allocator for tensors on a CPU."""

from __future__ import annotations

import ctypes

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_MEBIBYTE = 1 << 20


def keep_freed_memory() -> None:
    """Makes glibc keep freed memory for later tensors; no effect with other C libraries.

    By default every large tensor is mapped anew, which causes page faults.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_MMAP_THRESHOLD, 32 * _MEBIBYTE)  # the maximum
    mallopt(_TRIM_THRESHOLD, 1024 * _MEBIBYTE)
    mallopt(_TOP_PAD, 64 * _MEBIBYTE)
