"""Disk cache of resized pictures, shared by a machine's ranks: each picture is decoded and resized once.

Every rank writes its own file in TMPDIR and reads the files of all ranks. The files are unlinked, so nothing
remains after a crash; ranks open each other's files through /proc/PID/fd. Pictures that do not fit, or cannot
be read back, are decoded each time.
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

# All ranks together may use a quarter of the free space: TMPDIR may be in memory, and other processes use it.
FREE_DISK_DIVISOR = 4


@dataclass(frozen=True)
class _Location:
    """Location of a picture's uint8 pixels: file, offset and shape."""

    file: _SharedFile
    start: int
    grid: tuple[int, int, int]
    patch_pixels: int


@dataclass(frozen=True)
class _SharedFile:
    """Path under which other processes of the machine can open a file, and its device and inode numbers."""

    path: str
    device: int
    inode: int


class PictureStore:
    """uint8 pixels by a hash of the picture's bytes."""

    def __init__(self, limit: int | None = None) -> None:
        """`limit`: bytes that this rank may write; None: an equal part of a quarter of the free space."""
        if limit is None:
            limit = disk_usage(tempfile.gettempdir()).free // (FREE_DISK_DIVISOR * world_size())
        self._limit = limit
        self._size = 0
        self._own_file: _SharedFile | None = None
        self._open_files: dict[_SharedFile, IO[bytes]] = {}
        self._locations: dict[bytes, _Location] = {}
        self._unshared: dict[bytes, _Location] = {}

    def get(self, key: bytes) -> UInt8Pixels | None:
        location = self._locations.get(key)
        if location is None:
            return None
        shape = (math.prod(location.grid), CHANNELS, location.patch_pixels)
        size = math.prod(shape)
        try:
            data = os.pread(self._open_files[location.file].fileno(), size, location.start)
        except OSError:
            data = b""
        if len(data) < size:
            return None
        return UInt8Pixels(np.frombuffer(data, dtype=np.uint8).reshape(shape), location.grid)

    def put(self, key: bytes, picture: UInt8Pixels) -> None:
        """Stores the picture if it fits within the limit."""
        data = picture.values.tobytes()
        if key in self._locations or self._size + len(data) > self._limit:
            return
        try:
            file = self._own_file or self._create()
            written = os.pwrite(self._open_files[file].fileno(), data, self._size)
        except OSError:  # disk full or no such folder: the picture is not cached
            written = 0
        if written < len(data):
            self._limit = 0
            return
        location = _Location(file, self._size, picture.image_grid_thw, picture.values.shape[2])
        self._locations[key] = self._unshared[key] = location
        self._size += len(data)

    def share(self) -> None:
        """Makes the pictures of a machine's ranks readable to all of them; every rank calls it."""
        for locations in gather_objects(self._unshared):
            for key, location in locations.items():
                if location.file in self._open_files or self._open(location.file):
                    self._locations.setdefault(key, location)
        self._unshared = {}
        barrier()  # a rank's file disappears when it exits: all ranks must have opened it before

    def _create(self) -> _SharedFile:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (open as long as the store)
        status = os.fstat(file.fileno())
        self._own_file = _SharedFile(f"/proc/{os.getpid()}/fd/{file.fileno()}", status.st_dev, status.st_ino)
        self._open_files[self._own_file] = file
        return self._own_file

    def _open(self, shared: _SharedFile) -> bool:
        """False if the file is not the expected one: processes of two machines can have the same id."""
        try:
            file = Path(shared.path).open("rb", buffering=0)  # noqa: SIM115  (open as long as the store)
        except OSError:
            return False
        status = os.fstat(file.fileno())
        if (status.st_dev, status.st_ino) != (shared.device, shared.inode):
            file.close()
            return False
        self._open_files[shared] = file
        return True
