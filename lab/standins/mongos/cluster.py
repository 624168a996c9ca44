"""What the config servers keep of a cluster: its shards, and which of them is the primary shard of a database."""

from __future__ import annotations

from dataclasses import dataclass, field

from bson import ObjectId

from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.wire import Document
from lab.standins.mongos.replica_set import ReplicaSet

OWN = ("admin", "config")  # databases that lie with the config servers
_LOCAL = {*OWN, "local"}  # of each set
_ALL: Document = {}


@dataclass(slots=True)
class Cluster:
    """Read anew for each command: there may be other routers. *sets* spares connections only."""

    config: ReplicaSet
    secret: str
    sets: dict[str, ReplicaSet] = field(default_factory=dict)

    async def identity(self) -> ObjectId:
        """What the cluster is known by; made by the first router that comes."""
        if not await self._documents("version"):
            await self._insert("version", {"_id": 1, "clusterId": ObjectId()})
        (version,) = await self._documents("version")
        found: ObjectId = version["clusterId"]
        return found

    async def shards(self) -> list[Document]:
        return await self._documents("shards")

    async def databases(self, **wanted: str) -> list[Document]:
        return [one for one in await self._documents("databases") if wanted.items() <= one.items()]

    def at(self, address: str) -> ReplicaSet:
        """The set of that address."""
        if address not in self.sets:
            self.sets[address] = ReplicaSet.at(address, self.secret)
        return self.sets[address]

    async def primary_shard(self, database: str, *, is_made: bool) -> ReplicaSet | None:
        """Where *database* lies. One that there is not is *made*, if that is asked for, where the fewest are."""
        shards = {one["_id"]: one for one in await self.shards()}
        every = await self.databases()
        mine = next((one["primary"] for one in every if one["_id"] == database), "")
        if not mine and is_made:
            able = [name for name, one in shards.items() if not one.get("draining")]
            if not able:
                raise Refusal(70, "No shards found")
            fewest = min(able, key=lambda name: sum(one["primary"] == name for one in every))
            await self._insert("databases", {"_id": database, "primary": fewest})
            mine = next(one["primary"] for one in await self.databases() if one["_id"] == database)  # another router's, if that came first
        return self.at(shards[mine]["host"]) if mine else None

    # --- shards come and go

    async def add(self, address: str, name: str) -> Document:
        shard = self.at(address)
        wanted = name or shard.name
        if wanted == "config":
            raise Refusal(2, "use of shard replica set with name 'config' is not allowed")
        for one in await self.shards():
            others = one["host"].partition("/")[0]
            if (others, one["_id"]) == (shard.name, wanted):
                return {"shardAdded": wanted}
            if others == shard.name or one["_id"] == wanted:
                raise Refusal(20, f"A shard already exists containing the replica set '{others}', as {one['_id']}")
        local = await self._validated(shard, address)
        identity = {"shardName": wanted, "clusterId": await self.identity(), "configsvrConnectionString": self.config.name}
        await shard.ask({"_addShard": 1, "shardIdentity": identity})
        await self._insert("shards", {"_id": wanted, "host": address, "state": 1})
        for database in local:
            await self._insert("databases", {"_id": database, "primary": wanted})
        return {"shardAdded": wanted}

    async def _validated(self, shard: ReplicaSet, address: str) -> list[str]:
        """The databases of a set that may become a shard."""
        said = await shard.hello()
        if "configsvr" in said:
            raise Refusal(96, f"Cannot add {address} as a shard since it is a config server")
        for host in address.partition("/")[2].split(","):
            if host not in [*said["hosts"], *said.get("passives", ())]:
                raise Refusal(96, f"in seed list {address}, host {host} does not belong to replica set {shard.name}")
        there = await shard.ask({"listDatabases": 1, "nameOnly": True})
        local = [one["name"] for one in there["databases"] if one["name"] not in _LOCAL]
        for one in await self.databases():
            if one["_id"] in local:
                text = f"can't add shard '{address}' because a local database '{one['_id']}' exists in another {one['primary']}"
                raise Refusal(96, text)
        return local

    async def remove(self, name: str) -> Document:
        """Begins to drain the shard at the first time, and takes it out at a later one, once no database is there."""
        shards = await self.shards()
        mine = next((one for one in shards if one["_id"] == name), None)
        if mine is None:
            raise Refusal(70, f"Shard {name} does not exist")
        if all(one.get("draining") for one in shards if one is not mine):
            raise Refusal(20, "Operation not allowed because it would remove the last shard")
        databases = [one["_id"] for one in await self.databases(primary=name)]
        left: Document = {"note": "you need to call movePrimary for the dbsToMove", "dbsToMove": databases} if databases else {}
        if not mine.get("draining"):
            await self._set("shards", name, {"draining": True})
            return {"msg": "draining started successfully", "state": "started", "shard": name, **left}
        if databases:
            remaining = {"chunks": 0, "dbs": len(databases), "jumboChunks": 0}  # nothing is cut into chunks here
            return {"msg": "draining ongoing", "state": "ongoing", "remaining": remaining, **left}
        await self.config.ask({"delete": "shards", "deletes": [{"q": {"_id": name}, "limit": 1}], "$db": "config"})
        return {"msg": "removeshard completed successfully", "state": "completed", "shard": name}

    async def move(self, database: str, to: str) -> Document:
        """Copy *database* to the shard *to*, and have it there from then on. What others write meanwhile is lost."""
        shards = {one["_id"]: one["host"] for one in await self.shards()}
        mine = next(iter(await self.databases(_id=database)), None)
        if mine is None or to not in shards:
            raise Refusal(26 if mine is None else 70, f"there is no database {database}" if mine is None else f"Shard {to} does not exist")
        if mine["primary"] == to:
            return {}
        source, target = self.at(shards[mine["primary"]]), self.at(shards[to])
        names = [one["name"] for one in await source.found({"listCollections": 1, "$db": database})]
        for name in names:
            found = await source.found({"find": name, "filter": _ALL, "$db": database})
            updates = [{"q": {"_id": one["_id"]}, "u": one, "upsert": True} for one in found]
            await target.ask({"update": name, "updates": updates, "$db": database})
        await self._set("databases", database, {"primary": to})
        for name in names:
            await source.ask({"delete": name, "deletes": [{"q": _ALL, "limit": 0}], "$db": database})
        return {}

    # --- documents of the config servers

    async def _documents(self, collection: str) -> list[Document]:
        return await self.config.found({"find": collection, "filter": _ALL, "$db": "config"})

    async def _insert(self, collection: str, document: Document) -> None:
        """Of no effect where one of that id is there."""
        await self.config.ask({"insert": collection, "documents": [document], "$db": "config"})

    async def _set(self, collection: str, id: str, fields: Document) -> None:
        await self.config.ask({"update": collection, "updates": [{"q": {"_id": id}, "u": {"$set": fields}}], "$db": "config"})
