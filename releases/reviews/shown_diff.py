"""The difference to the version before as pages show it: sentences, badges and lines of tables, from its one text."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from releases.models import Finding, Release, ReviewDiff
from releases.review import newest_diff
from releases.reviews.remarks import say_remark

Words = str | Promise
LINES_SHOWN, REASONS_SHOWN = 200, 12
LEVELS: Mapping[str, tuple[Words, str]] = {
    "major": (gettext_lazy("breaking"), "warn"),
    "minor": (gettext_lazy("addition"), "run"),
    "patch": (gettext_lazy("correction"), "idle"),
    "": (gettext_lazy("no change"), "idle"),
}
SEVERITIES: Mapping[str, str] = {"error": "bad", "warning": "warn", "note": "idle"}
ICONS = {"bad": "octagon-x", "warn": "triangle-alert", "run": "check", "idle": "info"}
FATES: Mapping[str, tuple[Words, str]] = {
    "added": (gettext_lazy("Added"), "run"),
    "removed": (gettext_lazy("Removed"), "warn"),
    "renamed": (gettext_lazy("Renamed"), "warn"),
    "changed": (gettext_lazy("Changed"), "warn"),
    "rewritten": (gettext_lazy("Changed, same meaning"), "idle"),
    "same": (gettext_lazy("Unchanged"), "idle"),
}
TABS: Mapping[str, Words] = {
    "summary": gettext_lazy("Summary"),
    "files": gettext_lazy("Files"),
    "schema": gettext_lazy("Schema"),
    "statistics": gettext_lazy("Statistics"),
    "rows": gettext_lazy("Rows"),
    "map": gettext_lazy("Map"),
    "metadata": gettext_lazy("Metadata"),
    "recipe": gettext_lazy("Recipe"),
}
TAB_OF: Mapping[str, Sequence[str]] = {
    "files": (
        "file-removed",
        "file-added",
        "size-shrank",
        "not-compared",
        "too-large",
        "bytes-absent",
        "file-changed",
    ),
    "schema": (
        *("column-removed", "column-renamed", "column-added", "type-changed", "crs-changed"),
        *("column-rewritten", "guessed-type-changed"),
    ),
    "statistics": ("column-empty", "nulls-grew"),
    "rows": ("keys-removed", "keys-added", "rows-fewer", "rows-more", "rows-dropped", "values-changed"),
    "map": ("tiles-removed", "tiles-added", "footprint-grew", "footprint-shrank"),
    "recipe": ("package-changed", "code-changed", "parameters-changed", "sources-changed", "environment-changed"),
}
NOT_ABOUT_METADATA = ("first-edition", "number-too-small", "number-larger", "nothing-changed")


@dataclass(frozen=True)
class Said:
    """One remark in the language of the page; `tab` is where its evidence stands, empty for what is no table."""

    kind: str
    icon: str
    label: str
    file: str
    place: str
    sentence: str
    tab: str
    tab_title: str


def document_of(diff: ReviewDiff) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(diff.body)
    return document


def tab_of(code: str) -> str:
    if code in NOT_ABOUT_METADATA:
        return ""
    return next((tab for tab, codes in TAB_OF.items() if code in codes), "metadata")


def said(remark: Mapping[str, str], kind: str, label: Words) -> Said:
    tab = tab_of(remark["code"])
    sentence = say_remark(remark["code"], remark["place"], remark["found"], remark["instead"])
    title = str(TABS[tab]) if tab else ""
    return Said(kind, ICONS[kind], str(label), remark["file"], remark["place"], sentence, tab, title)


def findings_shown(document: Mapping[str, Any]) -> list[Said]:
    """Give what a reviewer has to look at, errors first, then warnings, then notes."""
    labels = dict(Finding.Severity.choices)
    return [
        said(one, SEVERITIES[severity], labels[severity])
        for severity in SEVERITIES
        for one in document["remarks"]
        if one["severity"] == severity
    ]


def reasons_shown(document: Mapping[str, Any]) -> list[Said]:
    """Give what moves the number, what breaks first."""
    return [
        said(one, kind, label)
        for level, (label, kind) in LEVELS.items()
        for one in document["remarks"]
        if level and one["level"] == level
    ]


def number_shown(document: Mapping[str, Any]) -> dict[str, Any]:
    bump = document["bump"]
    label, kind = LEVELS[bump["level"]]
    deciding = [one for one in reasons_shown(document) if one.label == str(label)]
    return {**bump, "label": str(label), "kind": kind, "reasons": deciding[:5], "more": max(0, len(deciding) - 5)}


def overview(document: Mapping[str, Any]) -> dict[str, Any]:
    """Give what every tab and the page of the release say: sums, number, findings, and how many ask for an answer."""
    findings = findings_shown(document)
    return {
        "number": number_shown(document),
        "sums": summary_shown(document),
        "remarks": findings,
        "open": sum(one.kind in {"bad", "warn"} for one in findings),
    }


def overview_of(release: Release) -> dict[str, Any]:
    """Give the overview of a release's newest difference; empty where nothing was compared."""
    diff = newest_diff(release)
    return overview(document_of(diff)) if diff else {}


def summary_shown(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the sums, before and after."""
    titles = {"files": _("Files"), "size_bytes": _("Bytes"), "rows": _("Rows"), "columns": _("Columns")}
    return [
        {"title": title, "is_size": name == "size_bytes", **change_of(document["totals"][name])}
        for name, title in titles.items()
    ]


def change_of(total: Mapping[str, int]) -> dict[str, Any]:
    grown = total["after"] - total["before"]
    return {**total, "sign": "+" if grown > 0 else "−" if grown < 0 else "", "by": abs(grown)}


def files_shown(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**one, "path": path_of(one), **fate(one["fate"])} for one in document["comparison"]["files"]]


def path_of(pair: Mapping[str, Any]) -> str:
    return str((pair["after"] or pair["before"])["path"])


def fate(kind: str) -> dict[str, Any]:
    label, badge = FATES[kind]
    return {"label": label, "kind": badge, "icon": ICONS[badge], "is_same": kind == "same"}


def tables_shown(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give for each table its columns that changed, those that did not, and what became of its rows."""
    return [table_shown(name, table) for name, table in sorted(document["comparison"]["tables"].items())]


def table_shown(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    lines = list(column_lines(table))
    changed = [one for one in lines if not one["is_same"]]
    moved = [one for one in lines if one["has_moved"]]
    same = [one for one in lines if one["is_same"]]
    steady = [one for one in lines if not one["has_moved"]]
    return {
        "name": name,
        "is_guessed": table["is_guessed"],
        "changed": changed[:LINES_SHOWN],
        "same": same[:LINES_SHOWN],
        "moved": moved[:LINES_SHOWN],
        "steady": steady[:LINES_SHOWN],
        "left_out": max(map(len, (changed, same, moved, steady))) > LINES_SHOWN,
        "sampled_rows": ((table["after"] or table["before"]) or {"facts": {}})["facts"].get("sampled_rows"),
        "rows": rows_shown(table),
    }


def column_lines(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a line for each column: what it was and is, its facts before and after, and rows with other values."""
    other_values = {one["after"]: one["rows"] for one in (table["rows"] or {}).get("columns", ())}
    for change in table["columns"]:
        old, new = (side_of(table[side], change[side]) for side in ("before", "after"))
        column = (new or old)["column"]
        yield {
            "name": column["name"],
            "before": old,
            "after": new,
            "rows": other_values.get(change["after"], 0),
            "has_moved": (old and old["facts"]) != (new and new["facts"]) or change["after"] in other_values,
            **fate(change["kind"]),
        }


def side_of(table: Mapping[str, Any] | None, place: int | None) -> dict[str, Any]:
    """Give a column with its facts; empty where the table has it not."""
    if table is None or place is None:
        return {}
    column, facts = table["columns"][place], table["facts"]["columns"][place]
    shown = f"{column['encoding']}, {column['crs']}" if column["encoding"] else column["type"]
    return {"column": column, "type": shown, "facts": facts}


def rows_shown(table: Mapping[str, Any]) -> dict[str, Any] | None:
    rows = table["rows"]
    if rows is None:
        return None
    key = table["after"]["columns"][rows["key"][1]]["name"] if rows["key"] else ""
    before, after = table["before"]["facts"]["rows"], table["after"]["facts"]["rows"]
    return {**rows, "key": key, "before": before, "after": after}


def texts_shown(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the texts with two languages, those that changed first."""
    lines = [
        {**one, "is_same": all(one[language]["before"] == one[language]["after"] for language in ("en", "fr"))}
        for one in document["comparison"]["fields"]
    ]
    return sorted(lines, key=lambda one: bool(one["is_same"]))


def facts_shown(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**one, "is_same": one["before"] == one["after"]} for one in document["comparison"]["facts"]]


def counts_of(document: Mapping[str, Any]) -> dict[str, int]:
    """Count what changed behind each tab."""
    tables, comparison = tables_shown(document), document["comparison"]
    recipe = comparison["recipe"]
    code = recipe["code"]["commit"]
    return {
        "files": sum(not one["is_same"] for one in files_shown(document)),
        "schema": sum(len(one["changed"]) for one in tables),
        "statistics": sum(len(one["moved"]) for one in tables),
        "rows": sum(bool(one["rows"] and one["rows"]["before"] != one["rows"]["after"]) for one in tables),
        "metadata": sum(not one["is_same"] for one in (*texts_shown(document), *facts_shown(document))),
        "recipe": len(recipe["parameters"])
        + len(recipe["sources"])
        + len(recipe["packages"])
        + (code["before"] != code["after"]),
    }


def public_changes(release: Release) -> dict[str, Any]:
    """Give what a public page says of the change since the version before; empty where nothing was compared."""
    diff = newest_diff(release)
    if diff is None or diff.against is None:
        return {}
    document = document_of(diff)
    reasons = reasons_shown(document)
    return {
        "against": diff.against,
        "sums": [one for one in summary_shown(document) if one["by"]],
        "reasons": reasons[:REASONS_SHOWN],
        "left_out": max(0, len(reasons) - REASONS_SHOWN),
    }
