"""Port `History`, in memory and in SQLite: what was applied, what it did to what, and how often the same field was put back."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from providers.history import SqliteHistory
from providers.memory import FixedClock, MemoryHistory
from reconciler.model.origin import Revision
from reconciler.ports import Deed, Healed, History

FIRST = Revision("a" * 40, "t" * 40, "lab")
SECOND = Revision("b" * 40, "u" * 40, "lab")
ELSEWHERE = Revision("c" * 40, "v" * 40, "prod")
SET = "kubernetes/lab/kv/StatefulSet/default/kv"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(params=["memory", "sqlite"])
def history(request: Any, clock: FixedClock, tmp_path: Path) -> History:
    return MemoryHistory(clock) if request.param == "memory" else SqliteHistory(tmp_path / "store.db", clock)


def test_before_anything_was_applied_there_is_nothing(history: History) -> None:
    assert list(history.entries("lab", 10)) == []
    assert list(history.healed("lab", 0)) == []
    assert history.touched("lab", SET) is None


def test_entries_are_newest_first_and_of_one_environment(history: History) -> None:
    for revision in (FIRST, SECOND, ELSEWHERE):
        history.record(revision, "apply", {"add": 1}, "converged", followed={"record": {"ttl": 5}})
    found = list(history.entries("lab", 10))
    assert [one["commit"] for one in found] == [SECOND.commit, FIRST.commit]
    assert found[0]["followed"] == {"record": {"ttl": 5}}
    assert [one["commit"] for one in history.entries("lab", 1)] == [SECOND.commit]


def test_the_last_apply_that_touched_an_address_is_known(history: History) -> None:
    history.record(FIRST, "apply", {}, "converged", [Deed(SET, "create")])
    history.record(SECOND, "apply", {}, "converged", [Deed("volume/lab/kv/kv-0/data", "update")])
    found = history.touched("lab", SET)
    assert found
    assert (found["commit"], found["deed"]) == (FIRST.commit, "create")
    assert history.touched("prod", SET) is None


def test_what_was_put_back_is_counted_by_field_and_declared_value(history: History, clock: FixedClock) -> None:
    started = clock.now()
    for digest in ("3", "3", "5"):
        history.record(FIRST, "apply", {}, "converged", [Deed(SET, "update", (("spec.replicas", digest),))])
        clock.sleep(60)
    found = sorted(history.healed("lab", started), key=lambda one: one.digest)
    assert found == [Healed(SET, "spec.replicas", "3", 2, started), Healed(SET, "spec.replicas", "5", 1, started + 120)]
    assert [one.times for one in history.healed("lab", started + 30) if one.digest == "3"] == [1]


def test_a_file_of_the_first_release_is_read_and_written_on(tmp_path: Path, clock: FixedClock) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE history (id INTEGER PRIMARY KEY, environment TEXT NOT NULL, time REAL NOT NULL, action TEXT NOT NULL, "
            "revision TEXT NOT NULL, tree TEXT NOT NULL, summary TEXT NOT NULL, result TEXT NOT NULL)"
        )
        database.execute("INSERT INTO history VALUES (1, 'lab', 1.0, 'apply', 'old', 'tree', '{}', 'converged')")
    database.close()
    history = SqliteHistory(path, clock)
    assert [one["followed"] for one in history.entries("lab", 5)] == [{}]
    assert history.touched("lab", SET) is None
    history.record(FIRST, "apply", {}, "converged", [Deed(SET, "create")])
    assert [one["commit"] for one in history.entries("lab", 5)] == [FIRST.commit, "old"]
    assert history.touched("lab", SET)
