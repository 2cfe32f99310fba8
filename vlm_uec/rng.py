"""Randomness by key: every draw has a name, so nothing depends on what was drawn before it."""

from __future__ import annotations

import hashlib

import numpy as np


def keyed_generator(seed: int, *key: object) -> np.random.Generator:
    """A generator that the seed and the key's words alone determine (blake2b, then Philox)."""
    name = "\x1f".join(map(str, (seed, *key))).encode()
    digest = hashlib.blake2b(name, digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
