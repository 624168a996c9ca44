"""What a router answers: it lets in whom the config servers know, and asks the primary shard of a database for what concerns that."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bson import Int64, ObjectId

from lab.standins.mongod import scram, sessions, versions
from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.scram import Stored
from lab.standins.mongod.server import Commands, Connection, Handler
from lab.standins.mongod.wire import Document
from lab.standins.mongos.cluster import OWN, Cluster
from lab.standins.mongos.replica_set import ReplicaSet

_WRITES = ("insert", "update", "delete")
_READS = ("find", "count", "aggregate", "listCollections")


@dataclass(frozen=True, slots=True)
class Router:
    """*own* is what is kept of the keyfile, whose content *secret* is."""

    cluster: Cluster
    secret: str
    own: tuple[Stored, ...]
    identity: ObjectId = field(default_factory=ObjectId)

    async def known(self, database: str, name: str) -> tuple[Stored, ...]:
        if (database, name) == ("local", scram.SYSTEM):
            return self.own
        asked = {"usersInfo": {"user": name, "db": database}, "showCredentials": True}
        users = (await self.cluster.config.ask(asked))["users"]
        return (users[0]["credentials"][scram.MECHANISM],) if users else ()


async def hello(connection: Connection[Router], body: Document) -> Document:
    """A router is primary to its clients; of it there is never any news."""
    if "topologyVersion" in body:
        await asyncio.sleep(body["maxAwaitTimeMS"] / 1000)
    name = "ismaster" if next(iter(body)).lower() == "ismaster" else "isWritablePrimary"
    mechanisms = {"saslSupportedMechs": [scram.MECHANISM]} if "saslSupportedMechs" in body else {}
    version = {"processId": connection.server.identity, "counter": Int64(0)}
    return {"helloOk": True, name: True, "msg": "isdbgrid", **sessions.limits(connection), "topologyVersion": version, **mechanisms}


async def on_config(connection: Connection[Router], body: Document) -> Document:
    return await connection.server.cluster.config.ask(body)


async def write(connection: Connection[Router], body: Document) -> Document:
    found = await _place(connection, body, is_made=True)
    assert found
    return await found.ask(body)


async def read(connection: Connection[Router], body: Document) -> Document:
    found = await _place(connection, body, is_made=False)
    if found:
        return await found.ask({**body, "$readPreference": {"mode": "primary"}})
    name = next(iter(body))
    return {"n": 0} if name == "count" else {"cursor": {"id": 0, "ns": f"{body['$db']}.{body[name]}", "firstBatch": []}}


async def _place(connection: Connection[Router], body: Document, *, is_made: bool) -> ReplicaSet | None:
    cluster = connection.server.cluster
    return cluster.config if body["$db"] in OWN else await cluster.primary_shard(body["$db"], is_made=is_made)


async def list_databases(connection: Connection[Router], _body: Document) -> Document:
    found = [one["_id"] for one in await connection.server.cluster.databases()]
    return {"databases": [{"name": name, "empty": False} for name in sorted({*OWN, *found})]}


async def list_shards(connection: Connection[Router], body: Document) -> Document:
    _only_admin(body)
    return {"shards": await connection.server.cluster.shards()}


async def add_shard(connection: Connection[Router], body: Document) -> Document:
    _only_admin(body)
    return await connection.server.cluster.add(body["addShard"], body.get("name", ""))


async def set_features(connection: Connection[Router], body: Document) -> Document:
    """Of the shards, and of the config servers once these have it, so that what they say holds for all."""
    cluster = connection.server.cluster
    versions.check(body)
    for shard in await cluster.shards():
        await cluster.at(shard["host"]).ask(body)
    return await cluster.config.ask(body)


async def remove_shard(connection: Connection[Router], body: Document) -> Document:
    _only_admin(body)
    return await connection.server.cluster.remove(body["removeShard"])


async def move_primary(connection: Connection[Router], body: Document) -> Document:
    _only_admin(body)
    return await connection.server.cluster.move(body["movePrimary"], body["to"])


def _only_admin(body: Document) -> None:
    if body["$db"] != "admin":
        raise Refusal(13, f"{next(iter(body))} may only be run against the admin database.")


HANDLERS: dict[str, Handler[Router]] = {
    **sessions.LOG_IN,
    **dict.fromkeys(sessions.GREETINGS, hello),
    **dict.fromkeys(("createUser", "updateUser", "usersInfo"), on_config),
    **dict.fromkeys(_WRITES, write),
    **dict.fromkeys(_READS, read),
    "listDatabases": list_databases,
    "listShards": list_shards,
    "addShard": add_shard,
    "setFeatureCompatibilityVersion": set_features,
    "removeShard": remove_shard,
    "movePrimary": move_primary,
}
COMMANDS: Commands[Router] = Commands(HANDLERS, sessions.FREE)
