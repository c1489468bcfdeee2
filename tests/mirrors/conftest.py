from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def own_storage_dir(settings: Any, tmp_path: Path) -> Path:
    """Point our own storage into the test's folder."""
    settings.DFC_STORAGE_DIR = tmp_path / "storage"
    settings.DFC_STORAGE_DIR.mkdir()
    return Path(settings.DFC_STORAGE_DIR)
