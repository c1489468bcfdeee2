from django.db import migrations, models

from catalog.folding import indexed
from catalog.places import names_of


def fold_all(apps, _schema_editor):
    """Fill the columns that searching reads, as catalog/search.py did when they came."""
    for one in apps.get_model("catalog", "Dataset").objects.iterator():
        places = names_of(one.region, one.dguid)
        one.folded_names = indexed(
            one.title_en, one.title_fr, one.identifier, one.keywords_en, one.keywords_fr, *places
        )
        one.folded_texts = indexed(one.description_en, one.description_fr, one.attribution_en, one.attribution_fr)
        one.save(update_fields=["folded_names", "folded_texts"])


class Migration(migrations.Migration):

    dependencies = [
        ("catalog", "0002_catalogue_editions"),
    ]

    operations = [
        migrations.AddField("dataset", "folded_names", models.TextField(blank=True, default="", editable=False), preserve_default=False),
        migrations.AddField("dataset", "folded_texts", models.TextField(blank=True, default="", editable=False), preserve_default=False),
        migrations.AddIndex("asset", models.Index(fields=["sha1"], name="asset_by_sha1")),
        migrations.AddIndex("asset", models.Index(fields=["md5"], name="asset_by_md5")),
        migrations.AddIndex("version", models.Index(fields=["dataset", "state", "published_at"], name="version_newest")),
        migrations.AddIndex("dataset", models.Index(fields=["package", "region"], name="dataset_by_package_and_place")),
        migrations.RunPython(fold_all, migrations.RunPython.noop),
    ]
