"""Imports point down: between the apps, within an app, and out of pure modules nothing at all.

Every import is read with `ast`, those inside functions too, and so is what names a module as text: `import_string`,
`import_module`, `get_model`, foreign keys, `{% load %}` and the dotted functions of steps.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.template import engines

ROOT = Path(__file__).resolve().parent.parent
APPS = ("catalog", "releases", "mirrors", "swarm", "dfc_site")  # each may import those before it
LAYERS = ("errors", "pure", "models", "use case", "door")
DOORS = {
    "admin",
    "admin_findings",
    "admin_pages",
    "admin_policies",
    "views",
    "urls",
    "tasks",
    "management",
    "templatetags",
    "redirect",
    "serve",
    "apps",
}
PURE = {
    "catalog": {
        "naming",
        "paths",
        "versions",
        "moves",
        "digests",
        "amounts",
        "citation",
        "folding",
        "places",
        "sentences",
        "stac",
        "stac_schemas",
        "geoparquet",
        "inspection",
        "footprint",
    },
    "releases": {
        "manifest",
        "diff",
        "states",
        "drafts.definition",
        "statements.envelopes",
        "statements.provenance",
        "builds.containerfile",
        "builds.drift",
        "builds.drift_files",
    },
    "mirrors": {"selection"},
    "swarm": {"torrent", "bencode", "nodes"},
}
WORLD = {"django", "django_q", "environ", "socket", "urllib.request", "http.client", "requests", "subprocess", "time"}
CLOCKS = {"now", "today", "utcnow"}
TEXT_CALLS = {"import_string", "import_module", "get_model", "get_app_config"}
RELATIONS = {"ForeignKey", "OneToOneField", "ManyToManyField"}
# Imports inside a function: the models are not there yet when the file is read; a package may have been left out.
HIDDEN = {"dfc_site/apps.py", "mirrors/connect.py"}


@dataclass(frozen=True)
class Reach:
    """One place where a file reaches for a module: `name` is dotted."""

    file: str
    line: int
    name: str
    is_hidden: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} reaches for {self.name}"


def sources(*folders: str) -> list[Path]:
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if "migrations" not in path.parts and "bundle_files" not in path.parts)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def reaches(path: Path) -> Iterator[Reach]:
    """Give everything that a file imports or names as text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        hidden = isinstance(node, (ast.Import, ast.ImportFrom)) and id(node) not in top
        for name in names_of(node):
            yield Reach(named(path), getattr(node, "lineno", 0), name, hidden)


def names_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call):
        yield from names_as_text(node)


def names_as_text(call: ast.Call) -> Iterator[str]:
    function = call.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if called in TEXT_CALLS | RELATIONS | {"StepSpec", "Stage"}:
        for argument in [*call.args[:4], *(keyword.value for keyword in call.keywords)]:
            yield from texts(argument)


def texts(node: ast.AST) -> Iterator[str]:
    """Give the dotted names in a literal; `self` and words with blanks are none."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and " " not in part.value:
            yield part.value


def app_of(name: str) -> str | None:
    first = name.partition(".")[0]
    return first if first in APPS else None


def is_upward(file: str, name: str) -> bool:
    ours, theirs = file.partition("/")[0], app_of(name)
    return theirs is not None and APPS.index(theirs) > APPS.index(ours)


def test_no_app_reaches_for_one_above_it() -> None:
    found = [str(one) for path in sources(*APPS) for one in reaches(path) if is_upward(one.file, one.name)]
    assert found == []


def test_no_import_hides_inside_a_function() -> None:
    found = [one for path in sources(*APPS, "benchmarks") for one in reaches(path) if one.is_hidden]
    assert [str(one) for one in found if one.file not in HIDDEN] == []


def test_no_import_is_relative() -> None:
    assert [str(one) for path in sources(*APPS) for one in reaches(path) if one.name.startswith(".")] == []


def is_pure(app: str, module: list[str]) -> bool:
    return bool({module[0] if module else "", ".".join(module[:2])} & PURE.get(app, set()))


def layer_of(app: str, module: list[str]) -> str | None:
    """Name the layer of a module inside its app; None for what is outside the order (an engine, a backend)."""
    first = module[0] if module else ""
    if first == "errors":
        return "errors"
    if is_pure(app, module):
        return "pure"
    if first == "models":
        return "models"
    if first in {"backends", "storage", "executors", "jobs", "pages"}:
        return None
    return "door" if first in DOORS else "use case"


def inside(app: str, one: Reach, path: Path) -> tuple[str | None, str | None]:
    parts = path.relative_to(ROOT / app).with_suffix("").parts
    return layer_of(app, list(parts)), layer_of(app, one.name.split(".")[1:])


@pytest.mark.parametrize("app", APPS[:-1])
def test_within_an_app_imports_point_down(app: str) -> None:
    found = []
    for path in sources(app):
        for one in reaches(path):
            if app_of(one.name) != app or one.name.count(".") == 0:
                continue
            ours, theirs = inside(app, one, path)
            if ours and theirs and LAYERS.index(theirs) > LAYERS.index(ours):
                found.append(f"{one} ({ours} → {theirs})")
    assert found == []


def pure_files() -> list[Path]:
    paths = sources(*APPS)
    within = [(path, list(path.relative_to(ROOT).with_suffix("").parts)) for path in paths]
    return [path for path, parts in within if is_pure(parts[0], parts[1:])]


def is_ours_and_pure(name: str) -> bool:
    app, module = app_of(name), name.split(".")[1:]
    return app is None or module[:1] == ["errors"] or is_pure(app, module)


def is_worldly(name: str) -> bool:
    return any(name == word or name.startswith(f"{word}.") for word in WORLD)


@pytest.mark.parametrize("path", pure_files(), ids=named)
def test_a_pure_module_knows_nothing_of_the_world(path: Path) -> None:
    found = [str(one) for one in reaches(path) if is_worldly(one.name) or not is_ours_and_pure(one.name)]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    clocks = [
        f"{named(path)}:{node.lineno} asks the clock"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS
    ]
    assert found + clocks == []


def family(path: Path) -> str:
    """A backend's own files: `zenodo.py` and what begins with `zenodo_`."""
    return f"mirrors.backends.{path.stem.partition('_')[0]}"


def test_backends_import_only_their_base_errors_and_one_vendor_library() -> None:
    ours = ("mirrors.backends.base", "mirrors.backends.traits", "mirrors.errors")
    allowed = (*ours, "catalog.storage", "catalog.addresses", "catalog.line")
    found = [
        str(one)
        for path in sources("mirrors/backends")
        for one in reaches(path)
        if one.name.startswith("django") or (app_of(one.name) and not one.name.startswith((*allowed, family(path))))
    ]
    assert found == []


def relations() -> Iterator[tuple[Any, Any]]:
    for model in apps.get_models():
        if app_of(model.__module__):
            yield from ((model, field) for field in model._meta.get_fields() if field.many_to_one or field.one_to_one)


def test_no_foreign_key_points_up() -> None:
    found = []
    for model, field in relations():
        theirs = app_of(field.related_model.__module__)
        if not field.auto_created and theirs and APPS.index(theirs) > APPS.index(model._meta.app_label):
            found.append(f"{model.__name__}.{field.name} → {field.related_model.__name__}")
    assert found == []


def owners_of_tags() -> dict[str, str]:
    """Give for each template tag library of ours the app that has it."""
    backend: Any = engines["django"]
    libraries: dict[str, str] = backend.engine.libraries
    return {name: app for name, module in libraries.items() if (app := app_of(module))}


def test_a_template_loads_only_tags_of_its_app_or_below() -> None:
    owners = owners_of_tags()
    found = [
        f"{named(path)} loads {word} of {owners[word]}"
        for path in sorted((ROOT / "templates").rglob("*.html"))
        for word in loaded(path.read_text(encoding="utf-8"))
        if word in owners and APPS.index(owners[word]) > APPS.index(room_of(path))
    ]
    assert owners
    assert found == []


def room_of(template: Path) -> str:
    folders = template.relative_to(ROOT / "templates").parts
    return next((part for part in folders if part in APPS), "dfc_site")


def loaded(text: str) -> Iterator[str]:
    for part in text.split("{% load ")[1:]:
        yield from part.partition("%}")[0].split()


def test_the_reader_of_imports_sees_each_way_of_reaching_up(tmp_path: Path) -> None:
    code = (
        "import swarm.models\n"
        "def f():\n    from mirrors import verify\n"
        "g = import_string('dfc_site.pages.home')\n"
        "h = apps.get_model('swarm.Torrent')\n"
        "k = models.ForeignKey('mirrors.Mirror', models.PROTECT)\n"
    )
    tree = ast.parse(code)
    names = {name for node in ast.walk(tree) for name in names_of(node)}
    assert {"swarm.models", "mirrors.verify", "dfc_site.pages.home", "swarm.Torrent", "mirrors.Mirror"} <= names
    assert all(is_upward("catalog/x.py", name) for name in names if app_of(name))
