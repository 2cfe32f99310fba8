"""Resized pictures of a run on this machine's disk: each is decoded and resized once, by one of its ranks.

Every rank writes a file of its own, in TMPDIR, and reads everybody's. The files have no names, so nothing is
left behind however the run ends: a rank reaches another's through the system's list of open files. What does
not fit, or cannot be reached, is decoded again each time.
"""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage
from typing import IO

import numpy as np

from vlm_uec.data.uint8_pixels import CHANNELS, UInt8Pixels
from vlm_uec.ranks.collectives import barrier, gather_objects, world_size

# Of the free disk, for all ranks: TMPDIR may be memory, and is everybody's.
SHARE_OF_DISK = 4


@dataclass(frozen=True)
class _Place:
    """Where a picture's levels lie: which file, from which byte, and their shape."""

    file: _FileName
    start: int
    grid: tuple[int, int, int]
    pixels: int  # of a patch


@dataclass(frozen=True)
class _FileName:
    """How a process of the same machine finds an open file, and what tells that it is the one."""

    path: str
    device: int
    inode: int


class PictureStore:
    """Levels by a key that stands for the picture's bytes."""

    def __init__(self, limit: int | None = None) -> None:
        """`limit`: bytes this rank may write; None is its part of a share of the free disk."""
        if limit is None:
            limit = disk_usage(tempfile.gettempdir()).free // (SHARE_OF_DISK * world_size())
        self._limit = limit
        self._size = 0
        self._own: _FileName | None = None
        self._opened: dict[_FileName, IO[bytes]] = {}
        self._places: dict[bytes, _Place] = {}
        self._unshared: dict[bytes, _Place] = {}

    def get(self, key: bytes) -> UInt8Pixels | None:
        place = self._places.get(key)
        if place is None:
            return None
        shape = (math.prod(place.grid), CHANNELS, place.pixels)
        size = math.prod(shape)
        try:
            data = os.pread(self._opened[place.file].fileno(), size, place.start)
        except OSError:
            data = b""
        if len(data) < size:
            return None
        return UInt8Pixels(np.frombuffer(data, dtype=np.uint8).reshape(shape), place.grid)

    def put(self, key: bytes, picture: UInt8Pixels) -> None:
        """Keeps the picture where there is room."""
        data = picture.values.tobytes()
        if key in self._places or self._size + len(data) > self._limit:
            return
        try:
            file = self._own or self._create()
            written = os.pwrite(self._opened[file].fileno(), data, self._size)
        except OSError:  # no room, or no such folder: reading from the data set still works
            written = 0
        if written < len(data):
            self._limit = 0
            return
        place = _Place(file, self._size, picture.image_grid_thw, picture.values.shape[2])
        self._places[key] = self._unshared[key] = place
        self._size += len(data)

    def share(self) -> None:
        """Lets the ranks of a machine read each other's pictures; every rank calls it."""
        for share in gather_objects(self._unshared):
            for key, place in share.items():
                if place.file in self._opened or self._open(place.file):
                    self._places.setdefault(key, place)
        self._unshared = {}
        barrier()  # nobody goes, and takes a file along, before all have opened it

    def _create(self) -> _FileName:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (as long as the store)
        status = os.fstat(file.fileno())
        self._own = _FileName(f"/proc/{os.getpid()}/fd/{file.fileno()}", status.st_dev, status.st_ino)
        self._opened[self._own] = file
        return self._own

    def _open(self, name: _FileName) -> bool:
        """False where the file is another machine's, whose processes have the same numbers."""
        try:
            file = Path(name.path).open("rb", buffering=0)  # noqa: SIM115  (as long as the store)
        except OSError:
            return False
        status = os.fstat(file.fileno())
        if (status.st_dev, status.st_ino) != (name.device, name.inode):
            file.close()
            return False
        self._opened[name] = file
        return True
