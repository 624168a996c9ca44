"""CouchDB's looks and steps, the very scripts of its Jobs, against a stand-in of its servers; killed after every change, and begun anew."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.initialise import Initialisation, Script
from stacks._couchdb_cluster import Cluster
from tests.contract.couchdb_stand_in import SYSTEM, Doc, Node, Town

if not shutil.which("curl"):
    pytest.skip("there is no curl on PATH", allow_module_level=True)

pytestmark = pytest.mark.timeout(180)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
AWKWARD = "p: \"a\" \\ $(touch gone) 'x' ключ"


@dataclass
class Place:
    """Where scripts run: their password in a file, and who answers."""

    town: Town
    folder: Path

    def cluster(self, members: int) -> Cluster:
        names = {f"docs-{n}": host(n) for n in range(members)}
        zones = {name: ZONES[n % 3] for n, name in enumerate(names)}
        return Cluster(names, zones, self.town.port, str(self.folder / "password"))

    def run(self, script: Script, killed_at: int = 0) -> str:
        """What *script* says; killed, with all that it started, once its request number *killed_at* had its effect."""
        text = f'say() {{ printf %s "$1"; }}\n{script.text}'
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        with subprocess.Popen(
            ["bash", "-c", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={"PATH": path},
            start_new_session=True,
        ) as process:
            self.town.asked.clear()
            self.town.interrupt = lambda: os.killpg(process.pid, signal.SIGKILL) if len(self.town.asked) == killed_at else None
            said, words = process.communicate(timeout=60)
        self.town.interrupt = None
        assert process.returncode == 0 or killed_at, words
        return said

    def ask(self, wanted: Initialisation) -> Any:
        """What follows from how it is, once members have told each other."""
        self.town.sync()
        said = self.run(wanted.look)
        assert len(said) <= 4096
        return wanted.next(json.loads(said))

    def settle(self, wanted: Initialisation) -> list[str]:
        """Looks and steps in turn until nothing is lacking; what was done, and last what is waited for, if anything."""
        done: list[str] = []
        while (step := self.ask(wanted)) is not None:
            done.append(step.does if isinstance(step, Script) else step)
            if isinstance(step, str):
                return done
            self.run(step)
        return done


def host(number: int) -> str:
    return f"127.0.9.{number + 1}"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    town = Town(password=AWKWARD, zones=ZONES)
    (tmp_path / "password").write_text(f"{AWKWARD}\n")
    for n in range(3):
        town.start(host(n))
    yield Place(town, tmp_path)
    town.stop()


def changes(asked: list[str]) -> list[int]:
    """The numbers of the requests that change something: whoever dies after another one leaves what these have left."""
    return [number for number, one in enumerate(asked, 1) if not one.startswith("GET")]


def found(town: Town, members: int) -> None:
    """A cluster as the scripts make it, without them."""
    hosts = [host(n) for n in range(members)]
    for one in hosts[len(town.servers) :]:
        town.start(one)
    nodes = {f"couchdb@{one}": Doc({}).after({}).after({"zone": ZONES[n % 3]}) for n, one in enumerate(hosts)}
    for one in hosts:
        town.servers[one] = Node(dict(nodes), dict.fromkeys(SYSTEM, hosts[:3]))


def is_a_cluster(town: Town, members: int) -> bool:
    hosts = [host(n) for n in range(members)]
    zones = [town.servers[one].nodes[f"couchdb@{one}"].fields.get("zone") for one in hosts]
    databases = [set(town.servers[one].databases) >= set(SYSTEM) for one in hosts]
    return all(town.cluster(one) == hosts for one in hosts) and all(databases) and zones == [ZONES[n % 3] for n in range(members)]


FOUNDED = ["have docs-1, docs-2 join docs-0", "tell members their zones", "make _users, _replicator, _global_changes"]


def test_strangers_to_each_other_become_a_cluster_whose_copies_lie_in_three_zones(place: Place) -> None:
    assert place.settle(place.cluster(3).initialisation()) == FOUNDED
    assert is_a_cluster(place.town, 3)
    assert all(sorted(held) == [host(0), host(1), host(2)] for held in place.town.servers[host(0)].databases.values())
    assert not (place.folder / "gone").exists()


def test_trap_15_trap_16_whoever_dies_after_whichever_change_the_next_look_goes_on(place: Place) -> None:
    wanted, killed = place.cluster(3).initialisation(), 0
    while isinstance(step := place.ask(wanted), Script):
        before = place.town.keep()
        place.run(step)
        for number in changes(place.town.asked):
            place.town.servers = before
            before = place.town.keep()
            place.run(step, killed_at=number)
            place.settle(wanted)
            assert is_a_cluster(place.town, 3), (step.does, number)
            killed += 1
        place.town.servers = before
        place.run(step)
        place.run(step)  # by another, who decided alike, or by an operator before
    assert step is None
    assert is_a_cluster(place.town, 3)
    assert killed == 2 + 3 + 3


def test_who_is_new_joins_and_nothing_is_done_to_the_others(place: Place) -> None:
    found(place.town, 3)
    before = place.town.keep()
    for n in (3, 4):
        place.town.start(host(n))
    done = place.settle(place.cluster(5).initialisation())
    assert done == ["have docs-3, docs-4 join docs-0", "tell members their zones"]
    assert is_a_cluster(place.town, 5)
    assert all(place.town.servers[host(0)].nodes[id] == doc for id, doc in before[host(0)].nodes.items())


def test_who_lost_its_volume_is_told_by_the_others_who_they_are(place: Place) -> None:
    found(place.town, 3)
    place.town.servers[host(0)] = Node({f"couchdb@{host(0)}": Doc({}).after({})})
    assert place.settle(place.cluster(3).initialisation()) == []
    assert is_a_cluster(place.town, 3)


def test_who_was_written_to_before_it_joined_is_not_let_in_with_what_it_has(place: Place) -> None:
    found(place.town, 3)
    place.town.start(host(3))
    place.town.servers[host(3)].databases["early"] = [host(3)]
    why = "docs-3 has no databases: it was written to before it joined docs-0, and would bring them along"
    assert place.settle(place.cluster(4).initialisation()) == [why]
    assert place.town.cluster(host(0)) == [host(0), host(1), host(2)]


def test_what_twenty_members_say_of_each_other_fits_an_answer(place: Place) -> None:
    for n in range(3, 20):
        place.town.start(host(n))
    assert isinstance(place.ask(place.cluster(20).initialisation()), Script)


@pytest.mark.parametrize(
    ("fault", "says"),
    [("open", "docs-1 refuses who has no password"), ("wrong", "docs-0 takes the password"), ("stranger", "docs-0 knows nobody who is")],
)
def test_trap_14_nothing_is_done_while_somebody_is_open_or_another_clusters(place: Place, fault: str, says: str) -> None:
    match fault:
        case "open":
            place.town.open.add(host(1))
        case "wrong":
            place.town.password = "another"
        case _:
            place.town.servers[host(0)].nodes["couchdb@elsewhere"] = Doc({}).after({})
    before = place.town.keep()
    lacking = place.ask(place.cluster(3).initialisation())
    assert isinstance(lacking, str)
    assert lacking.startswith(says)
    assert place.town.servers == before or fault == "stranger"


def test_who_does_not_answer_is_waited_for(place: Place) -> None:
    assert place.settle(place.cluster(4).initialisation()) == ["docs-3 answers"]


def test_no_password_is_on_a_command_line(place: Place) -> None:
    (place.folder / "bin").mkdir()
    for name in ("curl", "base64"):
        wrapper = place.folder / "bin" / name
        wrapper.write_text(f'#!/bin/bash\nprintf "%s\\n" "$0" "$@" >> {place.folder}/ran\nexec {shutil.which(name)} "$@"\n')
        wrapper.chmod(0o755)
    place.settle(place.cluster(3).initialisation())
    ran = (place.folder / "ran").read_text()
    assert "/_cluster_setup" in ran
    assert AWKWARD not in ran
    assert base64.b64encode(f"admin:{AWKWARD}".encode()).decode() not in ran


# --- fewer members


@pytest.fixture
def five(place: Place) -> Place:
    found(place.town, 5)
    assert is_a_cluster(place.town, 5)
    return place


def leaving(place: Place) -> Initialisation:
    return place.cluster(3).drain({"docs-4": host(4), "docs-3": host(3)})


def test_who_holds_copies_is_waited_for_and_gets_no_more(five: Place) -> None:
    for name in ("a/b+c", "orders"):
        five.town.servers[host(0)].databases[name] = [host(0), host(3), host(4)]
    assert five.settle(leaving(five)) == [
        "give docs-4, docs-3 no more copies",
        "they hold no copies (now of 2 databases: a/b+c, orders), which CouchDB moves only by hand: docs/how-to/use-couchdb.md",
    ]
    assert five.town.cluster(host(0)) == [host(n) for n in range(5)]
    assert all(five.town.servers[host(0)].nodes[f"couchdb@{host(n)}"].fields.get("decom") for n in (3, 4))


def test_who_stays_after_all_gets_copies_again(five: Place) -> None:
    five.town.servers[host(0)].databases["orders"] = [host(0), host(1), host(4)]
    five.settle(leaving(five))
    assert five.settle(five.cluster(5).initialisation()) == ["tell members their zones"]
    assert is_a_cluster(five.town, 5)
    assert not any("decom" in doc.fields for doc in five.town.servers[host(0)].nodes.values())


def test_who_was_taken_out_and_stays_after_all_is_taken_in_again_with_what_it_has(five: Place) -> None:
    five.settle(leaving(five))
    assert five.settle(five.cluster(5).initialisation()) == ["have docs-3, docs-4 join docs-0", "tell members their zones"]
    assert is_a_cluster(five.town, 5)


def test_who_holds_nothing_is_taken_out_whoever_dies_on_the_way(five: Place) -> None:
    wanted, killed = leaving(five), 0
    while isinstance(step := five.ask(wanted), Script):
        before = five.town.keep()
        five.run(step)
        for number in changes(five.town.asked):
            five.town.servers = before
            before = five.town.keep()
            five.run(step, killed_at=number)
            five.settle(wanted)
            assert five.town.cluster(host(0)) == [host(0), host(1), host(2)], (step.does, number)
            killed += 1
        five.town.servers = before
        five.run(step)
        five.run(step)
    assert step is None
    assert killed == 2 + 2
    assert five.settle(five.cluster(3).initialisation()) == []


def test_who_was_given_a_copy_in_the_last_moment_is_not_taken_out(five: Place) -> None:
    mark = five.ask(leaving(five))
    assert isinstance(mark, Script)
    five.run(mark)
    remove = five.ask(leaving(five))
    assert isinstance(remove, Script)
    five.town.servers[host(0)].databases["late"] = [host(0), host(3)]
    with pytest.raises(AssertionError, match="holds copies again, of late"):
        five.run(remove)
    assert five.town.cluster(host(0)) == [host(n) for n in range(5)]
