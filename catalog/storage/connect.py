"""Open our own storage as the settings say."""

from django.conf import settings

from catalog.storage.local import LocalStorage


def own_storage() -> LocalStorage:
    return LocalStorage(settings.DFC_STORAGE_DIR)
