from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.configs import MINIMAL


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A config file with the required keys only."""
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    return path
