from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from vlm_uec.data.levels import PictureLevels
from vlm_uec.data.picture_store import PictureStore


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _picture(seed: int, height: int = 4, width: int = 6) -> PictureLevels:
    values = np.random.default_rng(seed).integers(0, 256, (height * width, 3, 196), dtype=np.uint8)
    return PictureLevels(values, (1, height, width))


def _same(one: PictureLevels | None, other: PictureLevels) -> bool:
    return one is not None and one.grid == other.grid and np.array_equal(one.values, other.values)


def test_pictures_come_back_as_they_were() -> None:
    store = PictureStore()
    pictures = {bytes([number]): _picture(number, 2 + 2 * number, 4) for number in range(5)}
    for key, picture in pictures.items():
        store.put(key, picture)
    assert all(_same(store.get(key), picture) for key, picture in pictures.items())
    assert store.get(b"other") is None


def test_the_first_of_a_key_stays() -> None:
    store = PictureStore()
    store.put(b"a", _picture(1))
    store.put(b"a", _picture(2))
    assert _same(store.get(b"a"), _picture(1))


def test_nothing_is_left_on_disk_once_it_is_shared(folder: Path) -> None:
    store = PictureStore()
    store.put(b"a", _picture(1))
    assert len(list(folder.iterdir())) == 1
    store.share()
    assert list(folder.iterdir()) == []
    store.put(b"b", _picture(2))
    store.share()
    assert _same(store.get(b"a"), _picture(1))
    assert _same(store.get(b"b"), _picture(2))
    assert list(folder.iterdir()) == []


def test_what_is_over_the_limit_is_not_kept() -> None:
    size = _picture(1).values.nbytes
    store = PictureStore(limit=2 * size)
    for number in range(3):
        store.put(bytes([number]), _picture(number))
    assert [store.get(bytes([number])) is not None for number in range(3)] == [True, True, False]


def test_a_disk_that_takes_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert store.get(b"c") is None, "it does not try again for every picture"


def test_a_disk_that_takes_half_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    store = PictureStore()
    monkeypatch.setattr("os.pwrite", lambda *_: 100)
    store.put(b"a", _picture(1))
    assert store.get(b"a") is None
