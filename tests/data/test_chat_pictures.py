"""Pictures of chat messages. qwen_vl_utils needs torchvision, which `make test` installs in .venv/parity."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARITY_PACKAGES = ROOT / ".venv" / "parity"


@pytest.mark.skipif(
    not (PARITY_PACKAGES / "torchvision").is_dir(),
    reason=f"no torchvision in {PARITY_PACKAGES}: see the Makefile",
)
def test_chat_pictures_equal_pictures_given_as_bytes(bundle: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.parity.chat_pictures", str(bundle), str(tmp_path)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PARITY_PACKAGES), str(ROOT)]),
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "largest difference 0.0" in done.stdout
