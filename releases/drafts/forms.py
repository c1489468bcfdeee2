"""The form in which a version is drafted or edited: its release.toml and the source files that are new."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from releases.drafts.definition import MAX_BYTES


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """A file field that takes several files; cleans to a list."""

    widget = ManyFilesInput

    def clean(self, data: Any, initial: Any = None) -> Any:
        files = data if isinstance(data, (list, tuple)) else [data]
        return [super(ManyFilesField, self).clean(file, initial) for file in files if file]


class IngestForm(forms.Form):
    """What an ingest needs; which of the fields count is said by the origin."""

    identifier = forms.CharField(label=_("Identifier of the dataset"), max_length=255, required=False)
    concurrency = forms.IntegerField(label=_("Files at the same time"), initial=12, required=False)
    text = forms.CharField(
        label=_("Addresses, one on a line"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"class": "code", "rows": 14, "spellcheck": "false"}),
    )
    file = forms.FileField(label=_("Or upload a list"), required=False)
    address = forms.CharField(label=_("Address"), max_length=1000, required=False)
    index = forms.FileField(label=_("Or upload an index: Parquet, CSV or GeoPackage"), required=False)
    selection = forms.CharField(
        label=_("Column that holds addresses, or a query that gives them"),
        required=False,
        widget=forms.Textarea(attrs={"class": "code", "rows": 4, "spellcheck": "false"}),
    )
    uploads = ManyFilesField(label=_("Files"), required=False)

    def clean(self) -> dict[str, Any]:
        """Put the text of an uploaded list in the place of the typed one."""
        cleaned = super().clean() or {}
        upload: Any = cleaned.get("file")
        if upload is not None:
            try:
                cleaned["text"] = upload.read().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise forms.ValidationError(_("That file is no UTF-8 text. Choose another.")) from error
        return cleaned


class DefinitionForm(forms.Form):
    definition = forms.CharField(
        label="release.toml",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"class": "code", "rows": 24, "spellcheck": "false"}),
    )
    file = forms.FileField(label=_("Or upload a release.toml"), required=False)
    sources = ManyFilesField(label=_("Source files that are not kept yet"), required=False)

    def clean(self) -> dict[str, Any]:
        """Put the text of an uploaded file in the place of the typed one."""
        cleaned = super().clean() or {}
        upload: Any = cleaned.get("file")
        if upload is not None:
            if (upload.size or 0) > MAX_BYTES:
                raise forms.ValidationError(_("That file is too long to be a release.toml. Choose another."))
            try:
                cleaned["definition"] = upload.read().decode()
            except UnicodeDecodeError as error:
                raise forms.ValidationError(_("That file is no UTF-8 text. Choose another.")) from error
        if not cleaned.get("definition", "").strip():
            raise forms.ValidationError(_("There is no release.toml yet. Paste its text, or upload it."))
        return cleaned
