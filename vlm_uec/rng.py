"""Keyed random generators: each draw has its own key, so it does not depend on earlier draws."""

from __future__ import annotations

import hashlib

import numpy as np


def keyed_generator(seed: int, *key: object) -> np.random.Generator:
    """A Philox generator seeded with the blake2b hash of `seed` and `key` alone."""
    name = "\x1f".join(map(str, (seed, *key))).encode()
    digest = hashlib.blake2b(name, digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
