"""What is kept of documents from run to run: a warm load says what a cold one says, and nothing that is kept is believed blindly."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from providers import shelf as shelves
from providers.shelf import FileShelf
from reconciler.errors import SpecError
from reconciler.model.desired import Desired
from reconciler.model.text import Texts
from reconciler.specs import documents
from reconciler.specs.load import load
from reconciler.specs.shelves import NOTHING
from tests.unit.specs import ENVIRONMENT, REVISION, TYPES, document, service

VOLUMES = "volumes: {data: {size: 1Gi}}\nowner: me"
FILES = {
    "environment.yaml": ENVIRONMENT,
    "a.yaml": service("a", VOLUMES) + "---\n" + service("b", "dependsOn: [a]\nreplicas: 1"),
    "c.yaml": service("c", VOLUMES.replace("1Gi", "2Gi")).replace("{name: c}", "{name: c, labels: {team: x}}"),
    "d.yaml": document("Components", "nodes", 'ids: ["n[1-3]"]\ndesiredConfiguration: base'),
    "e.yaml": document("Configuration", "base", "layers:\n- {cloneUrl: https://example.org/l.git, branch: main, playbook: a.yaml}"),
    "none.yaml": "# nothing\n",
}


class Read(Texts):
    """Texts that remember which of them were fetched."""

    def __init__(self, files: Mapping[str, str]) -> None:
        contents = {f"specs/lab/{name}": text.encode() for name, text in files.items()}
        blobs = {path: hashlib.sha1(text).hexdigest() for path, text in contents.items()}
        self.fetched: list[str] = []
        super().__init__({}, blobs, lambda paths: {path: self._note(path, contents[path]) for path in paths})

    def _note(self, path: str, text: bytes) -> bytes:
        self.fetched.append(path.removeprefix("specs/lab/"))
        return text


@pytest.fixture
def shelf(tmp_path: Path) -> FileShelf:
    return FileShelf(tmp_path / "kept.db")


def loaded(shelf: FileShelf, files: Mapping[str, str] = FILES) -> tuple[Desired, list[str]]:
    """What *files* declare, and which of them had to be read."""
    texts = Read(files)
    found = load(texts, REVISION, TYPES, shelf=shelf)
    return found, list(texts.fetched)


def test_a_second_load_reads_nothing_and_says_the_same(shelf: FileShelf) -> None:
    cold, read = loaded(shelf)
    assert sorted(read) == sorted(FILES)
    warm, read = loaded(FileShelf(shelf.path))
    assert read == []
    assert warm == cold
    assert dict(warm.resources) == dict(cold.resources)
    assert [one.origin for one in warm.resources.values()] == [one.origin for one in cold.resources.values()]
    assert [one.model_dump() for one in warm.services] == [one.model_dump() for one in cold.services]
    assert [one.model_fields_set for one in warm.services] == [one.model_fields_set for one in cold.services]
    places = ("spec.volumes.data", "spec.volumes.data.size", "spec.options", "spec.zones.0", "metadata.name", "spec.nothing.at.all")
    for one, other in zip(warm.services, cold.services, strict=True):
        assert [one.locate(place) for place in places] == [other.locate(place) for place in places]


def test_only_what_changed_is_read_again(shelf: FileShelf) -> None:
    loaded(shelf)
    changed = {**FILES, "c.yaml": service("c", "replicas: 2")}
    warm, read = loaded(shelf, changed)
    assert read == ["c.yaml"]
    assert warm == load(Read(changed), REVISION, TYPES)


def test_a_document_with_a_fault_is_read_anew_each_time(shelf: FileShelf) -> None:
    faulty = {**FILES, "c.yaml": service("c", "options: {heap: 64Gi}"), "x.yaml": service("x", "replicas: x")}
    for _ in range(2):
        found, read = loaded(shelf, faulty)
        assert set(found.held) == {"c", "x"}
        assert len(found.faults) == 2
    assert read == ["x.yaml", "c.yaml"], "what a type finds needs the text for its place"


@pytest.mark.parametrize(
    "change",
    [
        {"z.yaml": service("a", "replicas: 1")},
        {"z.yaml": service("a-0", "options: {shards: 2}")},
        {"a.yaml": service("a", VOLUMES + "\ndependsOn: [b]") + "---\n" + service("b", "dependsOn: [a]\nreplicas: 1")},
        {"a.yaml": service("b", "dependsOn: [gone]\nreplicas: 1")},
        {"environment.yaml": ENVIRONMENT.replace("us-east-1b", "us-east-1c")},
        {"z.yaml": document("Components", "more", "ids: [n2]")},
    ],
)
def test_what_is_wrong_between_documents_is_found_however_well_they_are_known(shelf: FileShelf, change: dict[str, str]) -> None:
    loaded(shelf)
    files = {**FILES, **change}
    warm, _ = loaded(shelf, files)
    cold = load(Read(files), REVISION, TYPES)
    assert (warm, warm.faults, warm.held) == (cold, cold.faults, cold.held)
    assert dict(warm.resources) == dict(cold.resources)


def test_another_environment_judges_anew(shelf: FileShelf) -> None:
    files = {"environment.yaml": ENVIRONMENT, "a.yaml": service("a", "zones: [us-east-1b]")}
    assert not loaded(shelf, files)[0].faults
    found, _ = loaded(shelf, {**files, "environment.yaml": ENVIRONMENT.replace(", us-east-1b", "")})
    assert set(found.held) == {"a"}


def test_a_broken_environment_is_told_though_all_else_is_known(shelf: FileShelf) -> None:
    loaded(shelf)
    with pytest.raises(SpecError):
        loaded(shelf, {**FILES, "environment.yaml": ENVIRONMENT + "  nonsense: 1\n"})


@pytest.mark.parametrize("damage", ["heads", "bodies", "file", "empty", "cut"])
def test_what_is_damaged_is_read_again(shelf: FileShelf, damage: str) -> None:
    cold, _ = loaded(shelf)
    shelf.close()
    if damage in {"heads", "bodies"}:
        with sqlite3.connect(shelf.path) as database:
            database.execute(f"UPDATE {damage} SET text = CAST('0000[]' AS BLOB)")
        database.close()
    elif damage == "cut":
        shelf.path.write_bytes(shelf.path.read_bytes()[:5000])
    else:
        shelf.path.write_bytes(b"" if damage == "empty" else b"no database at all" * 500)
    for _ in range(2):
        warm, _ = loaded(FileShelf(shelf.path))
        assert warm == cold
        assert dict(warm.resources) == dict(cold.resources)


def test_two_runs_at_once_do_not_harm_each_other(shelf: FileShelf) -> None:
    cold = load(Read(FILES), REVISION, TYPES)
    found: list[Desired] = []

    def run(number: int) -> None:
        own = FileShelf(shelf.path)
        found.extend(loaded(own, {**FILES, f"z{number}{n}.yaml": "# nothing\n"})[0] for n in range(5))
        own.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 15
    assert all(one == cold for one in found)


def test_a_file_that_has_grown_too_large_begins_anew(shelf: FileShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.keep({"old": ("1", "x" * 10_000)})
    monkeypatch.setattr(shelves, "LARGEST", 5_000)
    shelf.keep({"new": ("2", "")})
    assert shelf.heads(["old", "new"]) == {"new": "2"}


def test_a_place_that_cannot_be_written_to_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not loaded(FileShelf(tmp_path / "file" / "kept.db"))[0].faults


def test_only_a_folder_that_nobody_else_may_write_to_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_CACHE", str(tmp_path / "cache"))
    opened = shelves.opened()
    assert isinstance(opened, FileShelf)
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    for mode in (0o777, 0o770, 0o702):
        (tmp_path / "cache").chmod(mode)
        assert shelves.opened() is NOTHING
    (tmp_path / "cache").chmod(0o700)
    if not os.geteuid():
        os.chown(tmp_path / "cache", 65534, 65534)
        assert shelves.opened() is NOTHING


def test_nothing_is_kept_where_nobody_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECONCILE_CACHE", "")
    assert shelves.opened() is NOTHING
    monkeypatch.delenv("RECONCILE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    opened = shelves.opened()
    assert isinstance(opened, FileShelf)
    assert opened.path.parent == tmp_path / "reconciler"


def test_other_code_keeps_another_file_and_old_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_CACHE", str(tmp_path))
    first = shelves.opened()
    monkeypatch.setattr(shelves, "_PACKAGES", ("runner",))
    assert isinstance(first, FileShelf)
    first.keep({"key": ("1", "")})
    os.utime(first.path, (0, 0))
    second = shelves.opened()
    assert isinstance(second, FileShelf)
    assert second.path != first.path
    assert not first.path.exists()


def test_any_sound_document_comes_back_as_it_was() -> None:
    for name, text in FILES.items():
        kept = documents.keep(documents.read(name, text.encode()))
        drafts = documents.recall(name, json.loads(kept.head), partial(str, kept.body), bytes)
        assert documents.keep(documents.Reading(tuple(drafts))) == kept
