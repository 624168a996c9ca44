"""Commands of replica sets: those that people ask, and those with which members speak to each other."""

from __future__ import annotations

from lab.standins.mongod import config as configs
from lab.standins.mongod import writes
from lab.standins.mongod.member import Member, State
from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.scram import SYSTEM
from lab.standins.mongod.server import Connection, Handler, Server, now
from lab.standins.mongod.wire import Document

_IDENTITY = "admin.system.version"
_LONG_POLL = 1.0  # seconds that a follower waits for something new


def _config(member: Member) -> Document:
    if member.config is None:
        raise Refusal(94, "no replset config has been received")
    return member.config


async def initiate(connection: Connection[Server], body: Document) -> Document:
    await connection.server.rounds.initiate(body["replSetInitiate"])
    return {}


async def reconfigure(connection: Connection[Server], body: Document) -> Document:
    await connection.server.rounds.reconfigure(body["replSetReconfig"], force=bool(body.get("force")))
    return {}


async def get_config(connection: Connection[Server], _body: Document) -> Document:
    return {"config": _config(connection.server.member)}


async def get_status(connection: Connection[Server], _body: Document) -> Document:
    member = connection.server.member
    config = _config(member)
    if member.state is State.REMOVED:
        raise Refusal(93, "Our replica set config is invalid or we are not a member of it")
    members = [_status(member, one) for one in config["members"]]
    return {"set": config["_id"], "date": now(), "myState": int(member.state), "term": member.term, "members": members}


def _status(member: Member, one: Document) -> Document:
    host = one["host"]
    base = {"_id": one["_id"], "name": host}
    if host == member.own:
        return {**base, "health": 1.0, "state": int(member.state), "stateStr": member.state.name, "self": True}
    view = member.views.get(host)
    state = view.state if view and view.is_up else State.DOWN
    text = "(not reachable/healthy)" if state is State.DOWN else state.name
    return {**base, "health": float(state is not State.DOWN), "state": int(state), "stateStr": text}


async def is_self(connection: Connection[Server], _body: Document) -> Document:
    return {"id": connection.server.member.identity}


async def heartbeat(connection: Connection[Server], body: Document) -> Document:
    _only_members(connection)
    return await connection.server.rounds.heard({**body, "set": body["replSetHeartbeat"]})


async def request_votes(connection: Connection[Server], body: Document) -> Document:
    _only_members(connection)
    return connection.server.member.vote(body)


async def step_up(connection: Connection[Server], _body: Document) -> Document:
    _only_members(connection)
    member = connection.server.member
    if not member.is_electable() or not await connection.server.rounds.stand(is_asked=True):
        raise Refusal(115, "Election failed.")
    return {}


async def step_down(connection: Connection[Server], _body: Document) -> Document:
    await connection.server.rounds.step_down()
    return {}


async def pull(connection: Connection[Server], body: Document) -> Document:
    """What follows a follower's last entry. The real server's members read each other's `local.oplog.rs` by find and getMore."""
    _only_members(connection)
    member = connection.server.member
    term, index = body["last"]
    if member.config and configs.of(member.config, body["from"]) is None:
        raise Refusal(74, f"{body['from']} is no member of this set")
    said = member.served(body["from"], (term, index))
    if said.get("entries") == []:
        await member.until(lambda: member.state is not State.PRIMARY or len(member.log.entries) > index, _LONG_POLL)
        said = member.served(body["from"], (term, index))
    return said


async def add_shard(connection: Connection[Server], body: Document) -> Document:
    """Be a shard of the cluster whose router asks: this set remembers of which, and is of no other from then on."""
    _only_members(connection)
    server, wanted = connection.server, {"_id": "shardIdentity", **body["shardIdentity"]}
    if server.member.role != "shardsvr":
        raise Refusal(203, "Cannot accept sharding commands if not started with --shardsvr")
    known = server.log.documents.get(_IDENTITY, "shardIdentity")
    if known and (known["shardName"], known["clusterId"]) != (wanted["shardName"], wanted["clusterId"]):
        raise Refusal(20, f"this set is the shard {known['shardName']} of another cluster, or was it")
    return await writes.write(connection, body, [] if known else [(_IDENTITY, "shardIdentity", wanted)], {})


def _only_members(connection: Connection[Server]) -> None:
    if connection.server.secret and connection.user != f"local.{SYSTEM}":
        raise Refusal(13, "not authorized: only members of the set ask this")


HANDLERS: dict[str, Handler[Server]] = {
    "replSetInitiate": initiate,
    "replSetReconfig": reconfigure,
    "replSetGetConfig": get_config,
    "replSetGetStatus": get_status,
    "replSetHeartbeat": heartbeat,
    "replSetRequestVotes": request_votes,
    "replSetStepDown": step_down,
    "replSetStepUp": step_up,
    "standinPull": pull,
    "_isSelf": is_self,
    "_addShard": add_shard,
}
