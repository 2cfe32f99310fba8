from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vlm_uec.data import picture_store
from vlm_uec.data.picture_store import PictureStore
from vlm_uec.data.uint8_pixels import UInt8Pixels


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _picture(seed: int, height: int = 4, width: int = 6) -> UInt8Pixels:
    values = np.random.default_rng(seed).integers(0, 256, (height * width, 3, 196), dtype=np.uint8)
    return UInt8Pixels(values, (1, height, width))


def _same(one: UInt8Pixels | None, other: UInt8Pixels) -> bool:
    return (
        one is not None
        and one.image_grid_thw == other.image_grid_thw
        and np.array_equal(one.values, other.values)
    )


def test_stored_pictures_are_unchanged() -> None:
    store = PictureStore()
    pictures = {bytes([number]): _picture(number, 2 + 2 * number, 4) for number in range(5)}
    for key, picture in pictures.items():
        store.put(key, picture)
    assert all(_same(store.get(key), picture) for key, picture in pictures.items())
    assert store.get(b"other") is None


def test_the_first_picture_of_a_key_is_kept() -> None:
    store = PictureStore()
    store.put(b"a", _picture(1))
    store.put(b"a", _picture(2))
    assert _same(store.get(b"a"), _picture(1))


def test_the_files_have_no_directory_entry(folder: Path) -> None:
    store = PictureStore()
    store.put(b"a", _picture(1))
    assert list(folder.iterdir()) == []
    store.share()
    store.put(b"b", _picture(2))
    store.share()
    assert _same(store.get(b"a"), _picture(1))
    assert _same(store.get(b"b"), _picture(2))
    assert list(folder.iterdir()) == []


def test_another_process_reads_shared_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork is the other rank: it opens the file by the path that `share` distributes."""
    store = PictureStore()
    store.put(b"a", _picture(1))
    shared = dict(store._unshared)
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        other = PictureStore()
        monkeypatch.setattr(picture_store, "gather_objects", lambda _: [shared])
        other.share()
        os.write(writer, b"1" if _same(other.get(b"a"), _picture(1)) else b"0")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1) == b"1"


def test_a_file_of_another_machines_process_with_the_same_id_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This machine has a process with the same id and file descriptor, but another file."""
    store, other = PictureStore(), PictureStore()
    store.put(b"a", _picture(1))
    location = store._unshared[b"a"]
    foreign = replace(location, file=replace(location.file, inode=location.file.inode + 1))
    monkeypatch.setattr(picture_store, "gather_objects", lambda _: [{b"a": foreign}])
    other.share()
    assert other.get(b"a") is None


def test_the_limit_is_a_quarter_of_the_free_disk_for_all_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    size = _picture(1).values.nbytes
    monkeypatch.setattr(picture_store, "world_size", lambda: 2)
    for free, stored in ((8 * size, True), (8 * size - 8, False)):
        monkeypatch.setattr(picture_store, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        store = PictureStore()
        store.put(b"a", _picture(1))
        assert (store.get(b"a") is not None) is stored


def test_pictures_over_the_limit_are_not_stored() -> None:
    size = _picture(1).values.nbytes
    store = PictureStore(limit=2 * size)
    for number in range(3):
        store.put(bytes([number]), _picture(number))
    assert [store.get(bytes([number])) is not None for number in range(3)] == [True, True, False]


def test_a_full_disk_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    store = PictureStore()
    store.put(b"a", _picture(1))
    monkeypatch.setattr("os.pwrite", full)
    store.put(b"b", _picture(2))
    monkeypatch.undo()
    store.put(b"c", _picture(3))
    assert _same(store.get(b"a"), _picture(1))
    assert store.get(b"b") is None
    assert store.get(b"c") is None, "after an error, nothing is written"


def test_a_partly_written_picture_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    store = PictureStore()
    monkeypatch.setattr("os.pwrite", lambda *_: 100)
    store.put(b"a", _picture(1))
    assert store.get(b"a") is None
