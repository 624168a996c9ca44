"""The stand-in for MongoDB's router, among stand-ins for its servers, asked by the unchanged driver and the very scripts of `stacks`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo import errors

from stacks import _mongosh as mongosh
from tests.contract.test_lab_mongod import KEY, PASSWORD, Party, gathered, until

pytestmark = pytest.mark.timeout(240)


@dataclass
class Town:
    """Config servers, three sets that may be shards, and two routers, each set of one member."""

    party: Party

    @property
    def routers(self) -> list[str]:
        return self.party.hosts[4:]

    @property
    def addresses(self) -> dict[str, str]:
        return {name: f"{name}/{host}" for name, host in zip("abc", self.party.hosts[1:4], strict=True)}

    def found(self, number: int, name: str, role: str) -> None:
        """Start the set *name*, with the very step of its Job."""
        port, host = self.party.ports[number], self.party.hosts[number]
        self.party.start(port, name, role)
        flag = {"configsvr": True} if role == "configsvr" else {}
        config = {"_id": name, **flag, "members": [{"_id": 0, "host": host, "votes": 1, "priority": 1}]}
        self.party.run(mongosh.initiate([host], str(self.party.folder), config))
        until(lambda: self.party.states(port) == {host: "PRIMARY"})

    def route(self, number: int) -> None:
        settings = f'security: {{keyFile: {self.party.folder}/key}}\nsharding: {{configDB: "cfg/{self.party.hosts[0]}"}}\n'
        self.party.run_server("mongos", self.party.ports[number], settings)

    def look(self, shards: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.party.run(mongosh.look_routers(self.routers, self.secrets, list(shards))))
        return found

    @property
    def secrets(self) -> str:
        return str(self.party.folder)

    def add(self, name: str) -> None:
        self.party.run(mongosh.add_shard(self.routers, self.secrets, name, self.addresses[name]))

    def remove(self, name: str, staying: str) -> None:
        self.party.run(mongosh.remove_shard(self.routers, self.secrets, name, list(staying)))

    def client(self, **login: str) -> pymongo.MongoClient[dict[str, Any]]:
        """A client that knows both routers, as one that may come by any of them."""
        return pymongo.MongoClient(self.routers, **login, timeoutMS=60_000)  # type: ignore[arg-type]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with gathered(tmp_path, 6) as party:
        made = Town(party)
        with futures.ThreadPoolExecutor() as pool:
            roles = [(0, "cfg", "configsvr"), *((number, name, "shardsvr") for number, name in enumerate("abc", 1))]
            list(pool.map(lambda one: made.found(*one), roles))
            list(pool.map(made.route, (4, 5)))
        yield made


def test_every_step_of_a_cluster_may_be_taken_twice(town: Town) -> None:
    """The very scripts of the Jobs: the user, two shards in, a third, and the first one out with all that it had."""
    assert town.look("ab") == {"routers": ["out out 2"] * 2, "shards": [], "others": [], "user": False, "features": "8.0"}
    for _ in range(2):
        town.party.run(mongosh.user(town.routers, town.secrets))
    for name in "aabb":
        town.add(name)
    ready = {"routers": ["out in 0"] * 2, "shards": [[0, 0], [1, 0]], "others": [], "user": True, "features": "8.0"}
    assert town.look("ab") == ready

    with town.client(username="admin", password=PASSWORD) as admin:
        databases = [f"db{n}" for n in range(4)]
        for name in databases:
            admin[name].papers.insert_many([{"_id": n, "of": name} for n in range(3)])
        homes = {one["_id"]: one["primary"] for one in admin.config.databases.find()}
        assert sorted(homes.values()) == ["a", "a", "b", "b"]  # in turn

        town.add("c")
        assert town.look("bc") == {**ready, "others": [["a", 0]]}
        with town.client(username="__system", password=KEY, authSource="local") as system:
            assert system.admin.command({"removeShard": "a"})["state"] == "started"  # somebody was killed after it
            assert system.admin.command({"removeShard": "a"})["dbsToMove"] == [name for name, home in homes.items() if home == "a"]
        assert town.look("abc")["shards"] == [[0, 1], [1, 0], [2, 0]]
        for _ in range(2):
            town.remove("a", "bc")
        assert town.look("bc") == ready
        assert {one["primary"] for one in admin.config.databases.find()} <= {"b", "c"}
        for name in databases:
            assert [one["_id"] for one in admin[name].papers.find().sort("_id")] == [0, 1, 2]
        admin.admin.command(
            {"setFeatureCompatibilityVersion": "7.0", "confirm": True}
        )  # as of a cluster whose servers were of that version
        assert town.look("bc") == {**ready, "features": "7.0"}
        for _ in range(2):
            town.party.run(mongosh.set_features(town.routers, town.secrets, "8.0"))
        assert town.look("bc") == ready
        with town.party.client(town.party.ports[2]) as shard:
            assert shard.admin.system.version.find_one() == {"_id": "featureCompatibilityVersion", "version": "8.0"}
        with town.party.client(town.party.ports[1]) as shard:
            assert not set(databases) & set(shard.list_database_names())


def test_a_client_writes_and_reads_by_any_router_and_strangers_by_none(town: Town) -> None:
    town.party.run(mongosh.user(town.routers, town.secrets))
    town.add("a")
    with town.client(username="admin", password=PASSWORD) as admin:
        assert admin.admin.command("hello")["msg"] == "isdbgrid"
        assert list(admin.papers.letters.find()) == []
        for number in range(20):
            admin.papers.letters.insert_one({"_id": number})
        admin.papers.letters.update_one({"_id": 3}, {"$set": {"read": True}})
        admin.papers.letters.delete_many({"_id": {"$gte": 10}})
    for host in town.routers:
        with pymongo.MongoClient[dict[str, Any]](host, username="admin", password=PASSWORD) as admin:
            assert admin.papers.letters.count_documents({}) == 10
            assert admin.papers.letters.find_one({"read": True}) == {"_id": 3, "read": True}
        with pymongo.MongoClient[dict[str, Any]](host) as stranger, pytest.raises(errors.OperationFailure, match="requires authentication"):
            stranger.papers.letters.find_one()
    with town.party.client(town.party.ports[1]) as shard:  # the cluster's users are not the shard's
        assert shard.admin.command({"usersInfo": 1})["users"] == []


def test_what_cannot_be_a_shard_is_refused(town: Town) -> None:
    host, *_ = town.party.hosts
    with town.client(username="__system", password=KEY, authSource="local") as system:

        def refused(body: dict[str, Any]) -> tuple[int | None, str]:
            with pytest.raises(errors.OperationFailure) as caught:
                system.admin.command(body)
            return caught.value.code, str(caught.value)

        assert refused({"addShard": f"cfg/{host}"})[0] == 96  # a config server
        assert refused({"addShard": town.addresses["a"], "name": "config"})[0] == 2
        assert refused({"addShard": town.party.hosts[1]})[0] == 2
        assert refused({"removeShard": "a"})[0] == 70
        town.add("a")
        assert refused({"addShard": town.addresses["a"], "name": "other"})[0] == 20
        assert refused({"removeShard": "a"}) == (20, refused({"removeShard": "a"})[1])
        assert "last shard" in refused({"removeShard": "a"})[1]
        system.papers.letters.insert_one({"_id": 1})
        with town.party.client(town.party.ports[2]) as other:
            other.papers.letters.insert_one({"_id": 2})
        assert "local database 'papers' exists" in refused({"addShard": town.addresses["b"]})[1]


def test_who_was_started_as_a_config_server_is_founded_as_one(tmp_path: Path) -> None:
    with gathered(tmp_path, 2) as party:
        for port, role in zip(party.ports, ("configsvr", "shardsvr"), strict=True):
            party.start(port, "cfg", role)
        for number, flag, words in ((0, {}, "must have configsvr:true"), (1, {"configsvr": True}, "must be started with the --configsvr")):
            config = {"_id": "cfg", **flag, "members": [{"_id": 0, "host": party.hosts[number]}]}
            with party.client(party.ports[number]) as client, pytest.raises(errors.OperationFailure, match=words):
                client.admin.command({"replSetInitiate": config})


def test_a_router_listens_once_it_has_reached_the_config_servers(tmp_path: Path) -> None:
    with gathered(tmp_path, 2) as party:
        settings = f'security: {{keyFile: {tmp_path}/key}}\nsharding: {{configDB: "cfg/{party.hosts[0]}"}}\n'
        with pytest.raises(AssertionError):
            party.run_server("mongos", party.ports[1], settings, within=2)
        assert party.processes[party.ports[1]].poll() is None
        party.processes[party.ports[1]].terminate()
        assert party.processes[party.ports[1]].wait(10) == 0


def test_a_setting_that_a_router_has_not_is_refused(tmp_path: Path) -> None:
    with gathered(tmp_path, 1) as party, pytest.raises(AssertionError, match="Unrecognized option"):
        party.run_server("mongos", party.ports[0], "storage: {dbPath: /data}\n")
