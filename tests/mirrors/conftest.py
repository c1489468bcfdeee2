from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client


@pytest.fixture
def operator() -> Any:
    """Give a person who may do everything."""
    return get_user_model().objects.create_superuser("operator", password=None)


@pytest.fixture
def desk(operator: Any) -> Client:
    """Give the admin as that person sees it."""
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def own_storage_dir(settings: Any, tmp_path: Path) -> Path:
    """Point our own storage into the test's folder."""
    settings.DFC_STORAGE_DIR = tmp_path / "storage"
    settings.DFC_STORAGE_DIR.mkdir()
    return Path(settings.DFC_STORAGE_DIR)
