"""Resized pictures of a run on this machine's disk: each is decoded and resized once, by one of its ranks.

Every rank writes a file of its own, in TMPDIR, and reads everybody's. Once all have opened it a file loses
its name, so that nothing is left behind however the run ends. What does not fit is decoded again each time.
"""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

import numpy as np

from vlm_uec.data.levels import CHANNELS, PictureLevels
from vlm_uec.distributed import barrier, gather_objects

# Of the free disk, for one rank: with eight of them, half stays free for everybody else.
SHARE_OF_DISK = 16


@dataclass(frozen=True)
class _Place:
    """Where a picture's levels lie: which file, from which byte, and their shape."""

    file: str
    start: int
    grid: tuple[int, int, int]
    pixels: int  # of a patch


class PictureStore:
    """Levels by a key that stands for the picture's bytes."""

    def __init__(self, limit: int | None = None) -> None:
        """`limit`: bytes this rank may write; None is a share of the free disk."""
        self._limit = disk_usage(tempfile.gettempdir()).free // SHARE_OF_DISK if limit is None else limit
        self._size = 0
        self._own: str | None = None
        self._opened: dict[str, int] = {}
        self._places: dict[bytes, _Place] = {}
        self._unshared: dict[bytes, _Place] = {}

    def get(self, key: bytes) -> PictureLevels | None:
        place = self._places.get(key)
        if place is None:
            return None
        shape = (math.prod(place.grid), CHANNELS, place.pixels)
        size = math.prod(shape)
        data = os.pread(self._opened[place.file], size, place.start)
        if len(data) < size:
            return None
        return PictureLevels(np.frombuffer(data, dtype=np.uint8).reshape(shape), place.grid)

    def put(self, key: bytes, picture: PictureLevels) -> None:
        """Keeps the picture where there is room."""
        data = picture.values.tobytes()
        if key in self._places or self._size + len(data) > self._limit:
            return
        try:
            file = self._own or self._create()
            written = os.pwrite(self._opened[file], data, self._size)
        except OSError:  # no room, or no such folder: reading from the data set still works
            written = 0
        if written < len(data):
            self._limit = 0
            return
        self._places[key] = self._unshared[key] = _Place(
            file, self._size, picture.grid, picture.values.shape[2]
        )
        self._size += len(data)

    def share(self) -> None:
        """Lets the ranks of a machine read each other's pictures; every rank calls it."""
        for share in gather_objects(self._unshared):
            for key, place in share.items():
                if place.file in self._opened or self._open(place.file):
                    self._places.setdefault(key, place)
        self._unshared = {}
        barrier()
        if self._own:
            Path(self._own).unlink(missing_ok=True)

    def _create(self) -> str:
        descriptor, name = tempfile.mkstemp(prefix="vlm-uec-pictures-")
        self._opened[name] = descriptor
        self._own = name
        return name

    def _open(self, name: str) -> bool:
        """False where the file is another machine's."""
        try:
            self._opened[name] = os.open(name, os.O_RDONLY)
        except OSError:
            return False
        return True

    def __del__(self) -> None:
        for descriptor in self._opened.values():
            os.close(descriptor)
