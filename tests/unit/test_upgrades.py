"""Another version of a living service: which way each server goes, what is refused with its place, and what a plan says of the rest."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from reconciler.model.change import Change
from reconciler.model.upgrades import Upgrades, is_later
from reconciler.resources import kubernetes
from tests.memory_world import MemoryWorld, desired
from tests.unit.test_stacks import TYPES

SETS = kubernetes.KINDS["StatefulSet"]
SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: kv}}
spec:
  type: {type}
  version: "{version}"
  replicas: {replicas}
  stopped: {stopped}
  volumes: {{data: {{size: 10Gi}}}}
"""
NEXT, BACK = "goes from one release series to the next", "is not for"


@pytest.mark.parametrize(
    ("type_", "before", "after", "why"),
    [
        ("mongodb", "7.0", "8.0", ""),
        ("mongodb", "6.0", "8.0", "go by 7.0, then 8.0"),
        ("mongodb", "5.0", "8.0", "no way is known that leads there from 5.0"),
        ("mongodb", "8.0", "7.0", BACK),
        ("mongos", "7.0", "8.0", ""),
        ("mongos", "8.0", "7.0", BACK),
        ("mariadb", "10.11", "11.4", ""),
        ("mariadb", "11.4", "11.8", ""),
        ("mariadb", "10.11", "11.8", "go by 11.4, then 11.8"),
        ("mariadb", "10.6.12", "11.8", "go by 10.11, then 11.4, then 11.8"),
        ("mariadb", "11.8", "11.4", BACK),
        ("kafka", "3.9.1", "4.1.1", ""),
        ("kafka", "4.1.0", "4.1.1", ""),
        ("kafka", "4.1.1", "4.1.0", ""),  # its metadata.version is that of the series
        ("kafka", "4.1.1", "4.0.0", BACK),
        ("zookeeper", "3.8", "3.9", ""),
        ("zookeeper", "3.9", "3.8", BACK),
        ("redis", "7.2", "8.2", ""),
        ("redis", "8.2", "8.0", BACK),
        ("opensearch", "2.19.3", "3.6.0", ""),
        ("opensearch", "2.17.0", "3.6.0", "by 2.19 one comes to 3.6.0"),
        ("opensearch", "3.5.0", "3.6.0", ""),
        ("opensearch", "3.6.1", "3.6.0", BACK),  # a node takes not even its own series' former data
        ("cassandra", "4.1", "5.0", ""),
        ("cassandra", "3.11", "5.0", "no way is known"),
        ("cassandra", "5.0", "4.1", BACK),
        ("consul", "1.22", "2.0", ""),
        ("consul", "2.0", "1.22", BACK),
        ("couchdb", "3.4.3", "3.5.2", ""),
        ("couchdb", "3.5.2", "3.5.1", ""),
        ("couchdb", "3.5.1", "3.4.3", BACK),
        ("postgresql", "17", "18", "make a new service of that version"),
        ("postgresql", "18", "17", "make a new service of that version"),
        ("telegraf", "1.36", "1.35", ""),  # its members keep nothing
    ],
)
def test_each_server_goes_its_own_way(type_: str, before: str, after: str, why: str) -> None:
    found = TYPES[type_].upgrades.why_not(before, after)
    assert why in found
    assert bool(found) == bool(why)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_what_a_type_has_can_be_kept_and_what_is_refused_says_what_to_do(name: str) -> None:
    """Each version can be come to from the one before it, but for types of which none leads to another."""
    own, versions = TYPES[name].upgrades, sorted(TYPES[name].versions, key=lambda one: [int(word) for word in one.split(".")])
    assert not any(own.why_not(one, one) for one in versions)
    for one, other in itertools.permutations(versions, 2):
        why = own.why_not(one, other)
        assert not why or "; " in why
    for before, after in itertools.pairwise(versions):
        assert bool(own.why_not(before, after)) == bool(own.never)


def test_what_is_no_version_is_left_to_its_type() -> None:
    assert Upgrades().why_not("latest", "8.0") == ""
    assert Upgrades(path=("7", "8"), kept=0).why_not("8", "7") != ""  # a path leads one way


def test_versions_are_numbers() -> None:
    assert is_later("10.6", "10.11")
    assert not is_later("2.19.3", "2.9")


class Town(MemoryWorld):
    """A world with one service, whose StatefulSet can be at odds with its Pods."""

    def goes(self, type_: str, version: str, *, stopped: bool = False) -> None:
        report = self.converge(SERVICE.format(type=type_, version=version, stopped=str(stopped).lower(), replicas=3))
        assert report.ok, report.outcomes

    def would(self, type_: str, version: str, *, stopped: bool = False, replicas: int = 3) -> Change:
        text = SERVICE.format(type=type_, version=version, stopped=str(stopped).lower(), replicas=replicas)
        plan = self.plan(desired(text)).plan
        return next(one for one in plan.changes if "StatefulSet/" in one.id.name)

    def stands(self, **status: Any) -> None:
        (found,) = self.cluster.list(SETS)
        self.cluster.put(SETS, {**found, "status": {**found["status"], **status}})


def test_a_refusal_names_the_place_of_the_version() -> None:
    town = Town()
    town.goes("mariadb", "10.11")
    change = town.would("mariadb", "11.8")
    assert change.action == "refuse"
    assert change.reason.startswith("specs/lab/services.yaml:6:12: version 10.11 -> 11.8: it goes from one release series to the next; ")


def test_a_plan_says_from_where_to_where_and_whom_it_restarts() -> None:
    town = Town()
    town.goes("redis", "8.0")
    assert town.would("redis", "8.2").impact == "restarts kv-2, kv-1, kv-0; upgrades from 8.0 to 8.2"


def test_going_back_within_a_series_is_said_so() -> None:
    town = Town()
    town.goes("couchdb", "3.5.2")
    assert town.would("couchdb", "3.5.1").impact.endswith("; goes back from 3.5.2 to 3.5.1")


@pytest.mark.parametrize("status", [{"updatedReplicas": 1}, {"observedGeneration": 0}], ids=["two to go", "nobody has looked"])
def test_the_next_step_waits_until_every_member_has_taken_the_last_one(status: dict[str, int]) -> None:
    """Else a member that had not restarted into 11.4 would come up as 11.8 on what 10.11 has written."""
    town = Town()
    town.goes("mariadb", "10.11")
    town.goes("mariadb", "11.4")
    town.stands(**status)
    change = town.would("mariadb", "11.8")
    count = 3 - status.get("updatedReplicas", 0)
    assert (change.action, change.reason) == (
        "hold",
        f"version 11.4 -> 11.8 has to wait: {count} members are still to restart into 11.4",
    )
    town.stands(updatedReplicas=3, observedGeneration=99)
    assert town.would("mariadb", "11.8").action == "update"


def test_who_may_skip_versions_waits_for_nobody() -> None:
    town = Town()
    town.goes("redis", "7.2")
    town.goes("redis", "7.4")
    town.stands(updatedReplicas=1)
    assert town.would("redis", "8.2").action == "update"


def test_a_stopped_service_takes_no_step_that_it_could_skip_so() -> None:
    town = Town()
    town.goes("mariadb", "10.11", stopped=True)
    change = town.would("mariadb", "11.4", stopped=True)
    assert change.action == "refuse"
    assert "start them with 10.11 first" in change.reason
    assert town.would("mariadb", "10.11").action == "update"


def test_nobody_joins_while_members_go_from_one_version_to_the_next() -> None:
    town = Town()
    town.goes("mariadb", "10.11")
    change = town.would("mariadb", "11.4", replicas=5)
    assert change.action == "refuse"
    assert "replicas go from 3 to 5; change them in a commit of their own" in change.reason
    assert town.would("mariadb", "10.11", replicas=5).action == "update"


def test_a_stopped_service_that_may_skip_versions_takes_another() -> None:
    town = Town()
    town.goes("redis", "7.2", stopped=True)
    assert town.would("redis", "8.2", stopped=True).action == "update"


def test_a_service_from_before_versions_were_remembered_is_given_the_mark_without_a_restart() -> None:
    town = Town()
    town.goes("redis", "8.0")
    (found,) = town.cluster.list(SETS)
    notes = {name: text for name, text in found["metadata"]["annotations"].items() if name != "reconciler/version"}
    town.cluster.put(SETS, {**found, "metadata": {**found["metadata"], "annotations": notes}})
    change = town.would("redis", "8.0")
    assert (change.action, change.impact) == ("update", "")
