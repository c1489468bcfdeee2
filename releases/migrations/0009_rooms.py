"""Steps name their function by its module: those under way when modules moved into rooms go on under the new name."""

from typing import Any

from django.db import migrations

MOVED = {
    "mirrors.old_checks.": "mirrors.checks.old_checks.",
    "mirrors.probe.": "mirrors.checks.probe.",
    "mirrors.recheck.": "mirrors.checks.recheck.",
    "mirrors.repair.": "mirrors.checks.repair.",
    "mirrors.survey.": "mirrors.checks.survey.",
    "mirrors.tell.": "mirrors.checks.tell.",
    "mirrors.bundle.": "mirrors.deposits.bundle.",
    "mirrors.redescribe.": "mirrors.deposits.redescribe.",
    "mirrors.reserve.": "mirrors.deposits.reserve.",
    "mirrors.tidy_drafts.": "mirrors.deposits.tidy_drafts.",
    "mirrors.tidy_uploads.": "mirrors.deposits.tidy_uploads.",
    "mirrors.end_service.": "mirrors.registry.end_service.",
    "releases.compare.": "releases.builds.compare.",
    "releases.confirm.": "releases.builds.confirm.",
    "releases.execute.": "releases.builds.execute.",
    "releases.explain.": "releases.builds.explain.",
    "releases.inspect.": "releases.builds.inspect.",
    "releases.lock.": "releases.builds.lock.",
    "releases.review_diff.": "releases.reviews.review_diff.",
    "releases.sign.": "releases.statements.sign.",
}


def rename(apps: Any, names: dict[str, str]) -> None:
    steps = apps.get_model("releases", "Step").objects
    for former, present in names.items():
        for function in steps.filter(function__startswith=former).values_list("function", flat=True).distinct():
            steps.filter(function=function).update(function=present + function.removeprefix(former))


def forward(apps: Any, _editor: Any) -> None:
    rename(apps, MOVED)


def back(apps: Any, _editor: Any) -> None:
    rename(apps, {present: former for former, present in MOVED.items()})


class Migration(migrations.Migration):
    dependencies = [("releases", "0008_review_diff")]
    operations = [migrations.RunPython(forward, back)]
