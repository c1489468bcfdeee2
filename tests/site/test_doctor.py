"""The doctor says what this machine has, what is absent, and fails only for what the settings ask for."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command


@pytest.fixture(autouse=True)
def own_folder(settings: Any, tmp_path: Path) -> None:
    settings.DFC_DATA_DIR = tmp_path
    settings.DFC_STORAGE_DIR = tmp_path / "storage"


def examined() -> dict[str, dict[str, str]]:
    out = io.StringIO()
    try:
        call_command("doctor", "--json", stdout=out)
    except CommandError as error:
        return {one["name"]: one for one in json.loads(out.getvalue())} | {"failed": {"found": str(error)}}
    return {one["name"]: one for one in json.loads(out.getvalue())}


def test_what_works_is_named_with_its_version_and_nothing_is_left_behind(tmp_path: Path) -> None:
    found = examined()
    assert found["git"]["found"].startswith("git version 2")
    assert found["storage"]["state"] == "ok"
    assert found["Python"]["state"] == "ok"
    assert {"disk", "bubblewrap", "containers", "diffoscope"} <= set(found)
    assert not [path for path in (tmp_path / "storage").rglob("*") if path.is_file()]


def test_an_engine_that_the_settings_name_and_that_is_not_there_fails(settings: Any) -> None:
    settings.DFC_CONTAINER_ENGINE = "/nowhere/podman"
    found = examined()
    assert found["failed"]["found"] == "Absent: containers."
    assert found["containers"]["state"] == "absent"
    assert found["containers"]["remedy"]


def test_without_any_engine_and_without_diffoscope_it_only_warns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("git", "bwrap"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = examined()
    assert (found["diffoscope"]["state"], found["git"]["state"]) == ("warning", "ok")
    assert "diffoscope-minimal" in found["diffoscope"]["remedy"]
    assert "failed" not in found


def test_a_storage_that_cannot_be_written_is_absent(settings: Any, tmp_path: Path) -> None:
    settings.DFC_STORAGE_DIR = tmp_path / "file"
    settings.DFC_STORAGE_DIR.write_text("no folder")
    found = examined()
    assert found["storage"]["state"] == "absent"
    assert found["failed"]["found"] == "Absent: storage."


def test_it_reads_as_a_table_with_the_next_step_below_what_is_not_well(settings: Any) -> None:
    settings.DFC_CONTAINER_ENGINE = "/nowhere/podman"
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"Absent: containers\."):
        call_command("doctor", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0].split()[:2] == ["ok", "storage"]
    assert "See what each said." in lines[[line.startswith("absent") for line in lines].index(True) + 1]
