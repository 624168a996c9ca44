"""How separate Redis servers become a cluster, whatever is half done: against servers that keep the rules of CLUSTER's commands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import errors
from reconciler.model.initialise import Next, Script
from stacks._redis_cluster import SLOTS, Cluster
from tests.unit.test_stacks import ENVIRONMENT, TYPES, changed, example, loaded, rendered

SIX = {f"kv-{n}": f"kv-{n}.db.internal" for n in range(6)}
CLUSTER = Cluster(SIX, 3, 6379)


@dataclass
class Servers:
    """What the members would be, moved by the lines of a step's script; *dies_after* of them, whoever runs it is killed."""

    known: dict[str, set[str]] = field(default_factory=lambda: {name: {name} for name in SIX})
    slots: dict[str, set[int]] = field(default_factory=lambda: {name: set() for name in SIX})
    of: dict[str, str] = field(default_factory=dict)

    def said(self) -> dict[str, list[object]]:
        covered = sum(map(len, self.slots.values())) == SLOTS
        return {
            name: [
                f"id-{name}",
                f"id-{self.of[name]}" if name in self.of else "",
                len(self.known[name]),
                len(self.slots[name]),
                "ok" if covered else "fail",
            ]
            for name in SIX
        }

    def run(self, script: Script, dies_after: int = 99) -> None:
        for line in [line for line in script.text.splitlines() if re.match(r"(meet|follow) |cli \S+ cluster addslotsrange", line)][
            :dies_after
        ]:
            self._line([word.removesuffix(".db.internal") for word in line.split()])

    def _line(self, words: list[str]) -> None:
        match words:
            case ["meet", other]:
                met = self.known["kv-0"] | self.known[other]
                for name in met:
                    self.known[name] = met
            case ["cli", who, "cluster", "addslotsrange", first, last]:
                wanted = set(range(int(first), int(last) + 1))
                if not wanted & set().union(*self.slots.values()):
                    self.slots[who] |= wanted
            case ["follow", who, leader]:
                if not self.slots[who] and leader in self.known[who]:
                    self.of[who] = leader


def step(servers: Servers) -> Next:
    return CLUSTER.next(servers.said())


def test_from_nothing_to_a_cluster_in_three_steps() -> None:
    servers, done = Servers(), []
    while isinstance(found := step(servers), Script):
        done.append(found.does)
        servers.run(found)
    assert found is None
    assert done == ["introduce the members to one another", "hand out the slots", "have replicas follow"]
    assert {name: len(slots) for name, slots in servers.slots.items() if slots} == {"kv-0": 5461, "kv-1": 5461, "kv-2": 5462}
    assert servers.of == {"kv-3": "kv-0", "kv-4": "kv-1", "kv-5": "kv-2"}


@given(st.lists(st.integers(0, 6), max_size=8))
def test_whoever_died_wherever_the_next_look_says_what_is_lacking(deaths: list[int]) -> None:
    servers, steps = Servers(), 0
    for dies_after in [*deaths, *[99] * 4]:
        found = step(servers)
        if isinstance(found, Script):
            servers.run(found, dies_after)
            steps += 1
    assert step(servers) is None
    assert sum(map(len, servers.slots.values())) == SLOTS


@pytest.mark.parametrize("following", range(4))
def test_replicas_that_follow_already_are_let_alone(following: int) -> None:
    servers = Servers()
    for _ in range(2):
        found = step(servers)
        assert isinstance(found, Script)
        servers.run(found)
    for replica, leader in [("kv-3", "kv-0"), ("kv-4", "kv-1"), ("kv-5", "kv-2")][:following]:
        servers.of[replica] = leader
    found = step(servers)
    asked = re.findall(r"^follow (\S+)\.db", found.text, re.MULTILINE) if isinstance(found, Script) else []
    assert asked == ["kv-3", "kv-4", "kv-5"][following:]


def test_a_replica_that_was_voted_for_leads_and_the_old_one_follows() -> None:
    servers = Servers()
    while isinstance(found := step(servers), Script):
        servers.run(found)
    servers.slots["kv-3"], servers.slots["kv-0"] = servers.slots["kv-0"], set()
    del servers.of["kv-3"]
    servers.of["kv-0"] = "kv-3"
    assert step(servers) is None


def test_one_that_does_not_answer_is_waited_for() -> None:
    said = Servers().said()
    del said["kv-4"]
    assert CLUSTER.next(said) == "kv-4 answers"
    assert CLUSTER.next({**said, "kv-4": ["", "", 0, 0, ""]}) == "kv-4 answers"


def test_another_number_of_shards_moves_no_data() -> None:
    servers = Servers()
    while isinstance(found := step(servers), Script):
        servers.run(found)
    assert "sharing them out anew is not there yet" in str(Cluster(SIX, 6, 6379).next(servers.said()))


def test_members_of_a_shard_are_in_different_zones_and_more_of_them_move_nobody() -> None:
    service = changed(example("redis"), replicas=6, options={"shards": 3})
    plan = {one.name: one.zone for one in TYPES["redis"].members(service, ENVIRONMENT)}
    for shard in range(3):
        assert plan[f"{service.name}-{shard}"] != plan[f"{service.name}-{shard + 3}"]
    more = {one.name: one.zone for one in TYPES["redis"].members(changed(service, replicas=9), ENVIRONMENT)}
    assert plan.items() <= more.items()


def test_what_is_no_cluster_is_refused_with_what_would_be() -> None:
    head = "apiVersion: reconciler/v1\nkind: Service\nmetadata: {name: kv}\n"
    with pytest.raises(errors.SpecError, match=r"7 members cannot be 3 shards of the same size\. choose 6 or 9"):
        loaded(f"{head}spec: {{type: redis, replicas: 7, volumes: {{data: {{size: 1Gi}}}}, options: {{shards: 3}}}}")


def test_a_cluster_s_members_follow_nobody_by_their_files() -> None:
    service = changed(example("redis"), replicas=6, options={"shards": 3, "auth": True})
    files = next(resource.fields["data"] for id, resource in rendered(service).items() if "ConfigMap" in id)
    assert "replicaof" not in files["cache-1.conf"]
    assert "cluster-announce-hostname cache-1.db.internal\n" in files["cache-1.conf"]
