"""In the admin, no title of a column, filter or field of ours stays English in French."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import get_fields_from_path, label_for_field
from django.utils.translation import override

from tests.test_layers import APPS

# Words that are the same in both languages, and names of algorithms.
SAME = {
    *("source", "version", "versions", "action", "verdict", "licence", "incident", "torrent", "release.toml"),
    *("attestation", "adoption"),
    *("doi", "DOI", "sha256", "sha1", "md5", "infohash v1", "infohash v2"),
}


def titles(model: Any, lists: Any) -> list[str]:
    columns = [str(label_for_field(name, model, lists)) for name in lists.list_display]
    filters = [one[0] if isinstance(one, tuple) else one for one in lists.list_filter]
    filters = [str(get_fields_from_path(model, name)[-1].verbose_name) for name in filters]
    hidden = lists.exclude or ()
    fields = [one for one in model._meta.fields if one.editable and not one.primary_key and one.name not in hidden]
    return columns + filters + [str(field.verbose_name) for field in fields] + [str(model._meta.verbose_name)]


def test_every_title_is_french_in_french() -> None:
    found = {}
    for model, lists in admin.site._registry.items():
        if model._meta.app_label in APPS:
            with override("en"):
                english = titles(model, lists)
            with override("fr"):
                french = titles(model, lists)
            same = {word for word, other in zip(english, french, strict=True) if word == other}
            found[model.__name__] = same - SAME
    assert {"Release", "Mirror", "Dataset", "NodeLetter"} <= set(found)
    assert {name: words for name, words in found.items() if words} == {}
