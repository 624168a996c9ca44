"""What a store of component records promises: the same body on memory and on SQLite."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from providers import sqlite
from providers.memory.records import MemoryRecords
from providers.sqlite import SqliteRecords
from reconciler.components.ports import Records
from reconciler.errors import ProviderError, UsageError
from reconciler.model.layer import Resolved
from reconciler.model.session import Session
from reconciler.model.work import Clone, Work, WorkLayer
from tests.component_samples import NOW, component, entry

LAYER = WorkLayer(0, Clone("https://git/x", "a" * 40, "secret"), "site.yml", "base")


@pytest.fixture(params=["memory", "sqlite"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    if request.param == "memory":
        yield MemoryRecords()
        return
    store = SqliteRecords(tmp_path / "deep" / "store.db", "lab")
    yield store
    store.close()


def session(name: str, *ids: str, attempt: int = 0, later: int = 0) -> Session:
    work = Work(name, (LAYER,), {id: {"port": 22, "list": [1, "two"]} for id in ids}, {"g": ids}, Clone("https://git/i", "b" * 40))
    created = NOW + timedelta(seconds=later)
    return Session(name, "compute", work, dict.fromkeys(ids, 1), "key", created, attempt=attempt, tags={"a": "b"})


def test_what_is_committed_is_read_back_whole(records: Records) -> None:
    first = component("s1", "", state=(replace(entry("s1", "failed"), message="böse"),), error_count=2, epoch=4, enabled=False, known=False)
    assert records.commit([first])
    assert records.get(["n1", "nobody"]) == {"n1": replace(first, version=1)}
    assert records.everything() == records.get(["n1"])


def test_a_writer_that_read_before_another_wrote_changes_nothing(records: Records) -> None:
    records.commit([component("s1")])
    read = records.get(["n1"])["n1"]
    assert records.commit([replace(read, error_count=1)])
    assert not records.commit([replace(read, error_count=7), component("s1", id="n2")])
    assert records.get(["n1", "n2"]).keys() == {"n1"}
    assert records.get(["n1"])["n1"].error_count == 1


def test_a_commit_of_components_and_sessions_is_all_or_nothing(records: Records) -> None:
    records.commit([component("s1")])
    assert records.open(session("a", "n1"))
    stale = replace(session("a", "n1"), version=9, frames=3)
    assert not records.commit([replace(records.get(["n1"])["n1"], error_count=5)], [stale])
    assert records.get(["n1"])["n1"].error_count == 0
    assert records.commit([replace(records.get(["n1"])["n1"], error_count=5)], [replace(stale, version=0)])
    found = records.session("a")
    assert found == replace(session("a", "n1"), version=1, frames=3)


def test_unsettled_are_those_declared_that_still_need_layers(records: Records) -> None:
    done = component("s1", id="done", state=(entry("s1", "applied"),))
    gone = component("s1", id="gone", declared=False)
    spent = component("s1", id="spent", error_count=9)
    records.commit([done, gone, spent, component("s1", id="held", enabled=False)])
    assert {one.id for one in records.unsettled()} == {"spent", "held"}
    assert records.settled() == {"c": 1}


def test_a_component_is_in_one_live_session_at_most(records: Records) -> None:
    assert records.open(session("a", "n1", "n2"))
    assert not records.open(session("b", "n2", "n3"))
    assert not records.open(session("a", "n9"))
    assert (records.busy(), records.session("b")) == ({"n1", "n2"}, None)
    assert records.open(session("c", "n3"))
    assert records.commit((), [session("a", "n1", "n2").advance("complete", "true", completed=NOW)])
    assert records.busy() == {"n3"}
    assert [one.name for one in records.live()] == ["c"]
    assert records.open(session("b", "n2"))


def test_sessions_are_newest_first_and_know_their_repetitions(records: Records) -> None:
    assert records.attempts("key") == 0
    for number in range(3):
        one = session(f"s{number}", "n1", attempt=number, later=number)
        assert records.open(one)
        ended = one.advance("complete", "false" if number else "true", completed=NOW + timedelta(seconds=number))
        assert records.commit((), [ended])
    assert records.attempts("key") == 3
    assert [one.name for one in records.sessions(configuration="compute", limit=2)] == ["s2", "s1"]
    assert records.sessions(configuration="other") == ()
    assert records.verdicts("compute", 5) == ("false", "false", "true")
    assert records.purge(NOW + timedelta(seconds=1)) == 1
    assert [one.name for one in records.sessions()] == ["s2", "s1"]
    assert records.attempts("key") == 3


def test_a_configuration_is_remembered_at_its_commits(records: Records) -> None:
    resolved = Resolved("compute", "digest", (LAYER,), Clone("https://git/i", "b" * 40))
    records.resolve(Resolved("compute", "older", ()))
    records.resolve(resolved)
    assert records.resolved() == {"compute": resolved}


def test_status_never_goes_back() -> None:
    done = session("a", "n1").advance("complete", "true")
    assert done.advance("running", "unknown") == done
    assert session("a").advance("complete", "unknown").advance(succeeded="true").succeeded == "true"


def test_environments_share_a_file_and_nothing_else(tmp_path: Path) -> None:
    lab, other = (SqliteRecords(tmp_path / "store.db", name) for name in ("lab", "other"))
    lab.commit([component("s1")])
    assert lab.open(session("a", "n1"))
    assert (other.everything(), other.busy(), other.live()) == ({}, frozenset(), ())
    assert lab.identity == other.identity
    lab.close()
    other.close()


def test_a_plan_reads_a_store_that_it_may_not_write(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/store.db"
    assert sqlite.read_records(url, "lab") is None
    assert not list(tmp_path.iterdir())
    writer = sqlite.open_records(url, "lab")
    writer.commit([component("s1")])
    reader = sqlite.read_records(url, "lab")
    assert reader is not None
    assert reader.everything().keys() == {"n1"}
    with pytest.raises(ProviderError, match="cannot be used"):
        reader.commit([component("s1", id="n2")])
    reader.close()
    writer.close()


def test_a_file_that_is_no_store_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("this is no database, and it is longer than a header of one hundred bytes " * 5)
    with pytest.raises(ProviderError, match="cannot be read"):
        SqliteRecords(tmp_path / "store.db", "lab")
    with pytest.raises(UsageError, match="no address of a SQLite file"):
        sqlite.open_records("postgresql://somewhere/db", "lab")


RACER = """
import sys
from dataclasses import replace
from pathlib import Path
from providers.sqlite import SqliteRecords
records, won = SqliteRecords(Path(sys.argv[1]), "lab"), 0
while won < 50:
    one = records.get(["n1"])["n1"]
    won += records.commit([replace(one, error_count=one.error_count + 1)])
"""
OPENER = """
import sys
from pathlib import Path
from providers.sqlite import SqliteRecords
from tests.contract.test_records import session
records = SqliteRecords(Path(sys.argv[1]), "lab")
print(sum(records.open(session(f"s{number}", f"n{number}")) for number in range(50)))
"""


@pytest.fixture
def race(tmp_path: Path) -> Callable[[str], list[str]]:
    """Runs a program in two processes on one store, at the same time, and returns what they print."""

    def run(program: str) -> list[str]:
        command = [sys.executable, "-W", "error", "-c", program, str(tmp_path / "store.db")]
        racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) for _ in range(2)]
        printed = [racer.communicate(timeout=60)[0].strip() for racer in racers]
        assert [racer.returncode for racer in racers] == [0, 0]
        return printed

    return run


def test_two_processes_lose_no_update(race: Callable[[str], list[str]], tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path / "store.db", "lab")
    records.commit([component("s1")])
    race(RACER)
    assert records.get(["n1"])["n1"].error_count == 100
    records.close()


def test_two_processes_open_each_session_once(race: Callable[[str], list[str]]) -> None:
    assert sum(map(int, race(OPENER))) == 50


def test_a_file_without_a_store_in_it_is_a_store_that_was_not_made_yet(tmp_path: Path) -> None:
    """A full disk, or a kill at the first moment, leaves no more than that."""
    path = tmp_path / "store.db"
    path.touch()
    assert sqlite.read_records(f"sqlite://{path}", "lab") is None
    sqlite.open_records(f"sqlite://{path}", "lab").close()
    reader = sqlite.read_records(f"sqlite://{path}", "lab")
    assert reader
    reader.close()
