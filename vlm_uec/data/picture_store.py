"""Disk cache of resized pictures, shared by a machine's ranks: each picture is decoded and resized once.

Every rank writes its own file in TMPDIR and reads the files of all ranks. The files are unlinked, so nothing
remains after a crash; ranks open each other's files through /proc/PID/fd. Pictures that do not fit, or cannot
be read, are decoded again each time.
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

# Of the free disk, for all ranks: TMPDIR may be in memory, and other processes use it too.
SHARE_OF_DISK = 4


@dataclass(frozen=True)
class _Place:
    """Location of a picture's uint8 pixels: file, first byte and shape."""

    file: _FileName
    start: int
    grid: tuple[int, int, int]
    pixels: int  # of a patch


@dataclass(frozen=True)
class _FileName:
    """Path of an open file for other processes of the machine, and the numbers that identify it."""

    path: str
    device: int
    inode: int


class PictureStore:
    """uint8 pixels by a hash of the picture's bytes."""

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
        """Stores the picture if it fits within the limit."""
        data = picture.values.tobytes()
        if key in self._places or self._size + len(data) > self._limit:
            return
        try:
            file = self._own or self._create()
            written = os.pwrite(self._opened[file].fileno(), data, self._size)
        except OSError:  # disk full or no such folder: the picture is decoded again
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
        barrier()  # a rank that exits takes its file along: all must have opened it first

    def _create(self) -> _FileName:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (as long as the store)
        status = os.fstat(file.fileno())
        self._own = _FileName(f"/proc/{os.getpid()}/fd/{file.fileno()}", status.st_dev, status.st_ino)
        self._opened[self._own] = file
        return self._own

    def _open(self, name: _FileName) -> bool:
        """False if the file is not the expected one: process ids repeat between machines."""
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
