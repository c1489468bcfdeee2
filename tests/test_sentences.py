"""What refuses a person speaks the language of that person: no error is made with a bare English sentence.

Every making of an error of ours is read with `ast`. Its first argument may not be a literal, unless the module stands
below with the reason why nobody reads it in answer to what he just did.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_layers import APPS, ROOT, named, sources

STORED = "raised while a step works or a command runs; kept in a row, in English"
START = "stops the start of the program; read in a log"
EXEMPT = {
    "catalog/addresses.py": STORED,
    "catalog/digests.py": STORED,
    "catalog/stac_schemas.py": STORED,
    "catalog/storage/address.py": START,
    "catalog/storage/files.py": STORED,
    "dfc_site/demo.py": STORED,
    "mirrors/deposits/adopt.py": STORED,
    "mirrors/deposits/as_planned.py": STORED,
    "mirrors/backends/internet_archive.py": STORED,
    "mirrors/backends/internet_archive_answers.py": STORED,
    "mirrors/backends/internet_archive_body.py": STORED,
    "mirrors/backends/internet_archive_client.py": STORED,
    "mirrors/backends/local.py": STORED,
    "mirrors/backends/memory.py": STORED,
    "mirrors/backends/s3.py": STORED,
    "mirrors/backends/s3_bucket.py": STORED,
    "mirrors/backends/s3_put.py": STORED,
    "mirrors/backends/zenodo.py": STORED,
    "mirrors/backends/zenodo_client.py": STORED,
    "mirrors/backends/zenodo_deposits.py": STORED,
    "mirrors/backends/zenodo_files.py": STORED,
    "mirrors/backends/zenodo_metadata.py": STORED,
    "mirrors/backends/zenodo_names.py": STORED,
    "mirrors/connect.py": STORED,
    "mirrors/registry/credentials.py": STORED,
    "mirrors/deposits/discard.py": STORED,
    "mirrors/registry/doctor.py": STORED,
    "mirrors/doi/connect.py": STORED,
    "mirrors/doi/datacite.py": STORED,
    "mirrors/doi/datacite_client.py": STORED,
    "mirrors/doi/zenodo.py": STORED,
    "mirrors/registry/end_service.py": STORED,
    "mirrors/checks/knock.py": STORED,
    "mirrors/deposits/lineage.py": STORED,
    "mirrors/checks/probe.py": STORED,
    "mirrors/checks/public.py": STORED,
    "mirrors/deposits/redescribe.py": STORED,
    "mirrors/remove.py": STORED,
    "mirrors/checks/repair.py": STORED,
    "mirrors/replicate.py": STORED,
    "mirrors/deposits/reserve.py": STORED,
    "mirrors/checks/tell.py": STORED,
    "mirrors/verify.py": STORED,
    "releases/commit.py": STORED,
    "releases/builds/confirm.py": STORED,
    "releases/builds/environments.py": STORED,
    "releases/builds/execute.py": STORED,
    "releases/executors/container.py": STORED,
    "releases/executors/engine.py": STORED,
    "releases/builds/images.py": STORED,
    "releases/ingest/ask.py": STORED,
    "releases/ingest/crew.py": STORED,
    "releases/ingest/derive.py": STORED,
    "releases/ingest/errand.py": STORED,
    "releases/ingest/fetch.py": STORED,
    "releases/ingest/probe.py": STORED,
    "releases/ingest/repository.py": STORED,
    "releases/drafts/items.py": STORED,
    "releases/jobs/context.py": STORED,
    "releases/jobs/registry.py": START,
    "releases/manifest.py": STORED,
    "releases/seal.py": STORED,
    "releases/watch.py": STORED,
    "swarm/bencode.py": STORED,
    "swarm/decide.py": STORED,
    "swarm/letters.py": STORED,
    "swarm/torrent.py": STORED,
}


def errors() -> set[str]:
    """Give the name of every error that we declare."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in sources(*APPS))
    declared = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {node.name for node in declared if node.name.endswith("Error")}


ERRORS = errors()


def is_bare(node: ast.AST) -> bool:
    """Tell whether an expression is a literal with words in it."""
    if isinstance(node, ast.JoinedStr):
        return any(is_bare(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return is_bare(node.left)
    return isinstance(node, ast.Constant) and any(character.isalpha() for character in str(node.value))


def bare_sentences(text: str) -> Iterator[int]:
    """Give the line of each error that is made with a bare sentence."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
            yield from (one.lineno for one in node.args[:1] if is_bare(one))


def lines_of(path: Path) -> list[str]:
    return [f"{named(path)}:{line}" for line in bare_sentences(path.read_text(encoding="utf-8"))]


def test_every_refusal_is_marked_for_translation() -> None:
    assert {"DefinitionError", "IdentifierError", "JobRefusedError", "NotPausableError"} <= ERRORS
    assert [line for path in sources(*APPS) if named(path) not in EXEMPT for line in lines_of(path)] == []


def test_no_exemption_outlives_its_reason() -> None:
    assert [name for name in EXEMPT if not lines_of(ROOT / name)] == []


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ('raise DefinitionError("Too long.")', [1]),
        ('raise DefinitionError(f"{name}: too long.", name=name)', [1]),
        ('return DefinitionError("%s is too long." % name)', [1]),
        ('raise DefinitionError(_("%(name)s: too long.") % {"name": name})', []),
        ('raise DefinitionError(f"{summary}\\n{lines}")', []),
        ('raise ValueError("a bug of ours")', []),
    ],
)
def test_the_reader_knows_a_bare_sentence(code: str, lines: list[int]) -> None:
    assert list(bare_sentences(code)) == lines
