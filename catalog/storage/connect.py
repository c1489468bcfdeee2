"""Open our own storage as the settings say."""

from typing import cast

from django.conf import settings
from django.core.files.storage import storages

from catalog.storage.base import Storage
from catalog.storage.local import LocalStorage

OWN = (
    "own"  # in STORAGES where our storage lies in a bucket; opened by its name, since a client of S3 is slow to load
)


def own_storage() -> Storage:
    """Give the folder of this machine, or the bucket, that DFC_STORAGE_URL names."""
    if OWN not in settings.STORAGES:
        return LocalStorage(settings.DFC_STORAGE_DIR)
    return cast("Storage", storages[OWN])
