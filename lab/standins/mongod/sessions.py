"""Commands of greeting and log-in, and users."""

from __future__ import annotations

from typing import Any

from bson import Int64, ObjectId

from lab.standins.mongod import config as configs
from lab.standins.mongod import scram, versions, writes
from lab.standins.mongod.member import State
from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.scram import Conversation, WrongPassword
from lab.standins.mongod.server import USERS, Connection, Door, Handler, Server, now
from lab.standins.mongod.wire import LARGEST, Document

_WIRE_VERSION = 25  # that of 8.0
_ROLES = ("root",)
GREETINGS = ("hello", "isMaster", "ismaster")


def limits(connection: Connection[Door]) -> Document:
    """What every server says of itself."""
    return {
        "maxBsonObjectSize": 16 * 2**20,
        "maxMessageSizeBytes": LARGEST,
        "maxWriteBatchSize": 100_000,
        "localTime": now(),
        "logicalSessionTimeoutMinutes": 30,
        "connectionId": connection.number,
        "minWireVersion": 0,
        "maxWireVersion": _WIRE_VERSION,
        "readOnly": False,
    }


async def hello(connection: Connection[Server], body: Document) -> Document:
    """What everybody may know."""
    member = connection.server.member
    if known := body.get("topologyVersion"):  # the client has been told, and waits for news
        seen = known["counter"] if known["processId"] == member.identity else -1
        await member.until(lambda: member.changes != seen, body["maxAwaitTimeMS"] / 1000)
    name = "ismaster" if next(iter(body)).lower() == "ismaster" else "isWritablePrimary"
    mechanisms = {"saslSupportedMechs": [scram.MECHANISM]} if "saslSupportedMechs" in body else {}
    return {
        "helloOk": True,
        name: member.state is State.PRIMARY,
        **_of_set(connection),
        **limits(connection),
        "topologyVersion": {"processId": member.identity, "counter": Int64(member.changes)},
        **mechanisms,
    }


def _of_set(connection: Connection[Server]) -> Document:
    member = connection.server.member
    config = member.config
    if not config or not member.own or member.state is State.REMOVED:
        return {"secondary": False, "isreplicaset": True, "info": "Does not have a valid replica set config"}
    passive = [one["host"] for one in config["members"] if not one["priority"]]
    told: Document = {
        **({"configsvr": 2} if config.get("configsvr") else {}),
        "setName": config["_id"],
        "setVersion": config["version"],
        "hosts": [host for host in configs.hosts(config) if host not in passive],
        "secondary": member.state is State.SECONDARY,
        "me": member.own,
    }
    if passive:
        told["passives"] = passive
    if member.own in passive:
        told["passive"] = True
    if member.primary:
        told["primary"] = member.primary
    if member.state is State.PRIMARY:
        told["electionId"] = ObjectId(bytes.fromhex("7fffffff") + member.term.to_bytes(8, "big"))
    last, sure = member.log.time(len(member.log.entries)), member.log.time(member.commit)
    return {**told, "lastWrite": {"opTime": last, "lastWriteDate": last["ts"].as_datetime(), "majorityOpTime": sure}}


async def build_info(_connection: Connection[Door], _body: Document) -> Document:
    major, minor = map(int, versions.MAJOR.split("."))
    return {
        "version": f"{versions.MAJOR}.0",
        "versionArray": [major, minor, 0, 0],
        "gitVersion": "stand-in",
        "maxBsonObjectSize": 16 * 2**20,
    }


async def nothing(_connection: Connection[Door], _body: Document) -> Document:
    return {}


async def connection_status(connection: Connection[Door], _body: Document) -> Document:
    database, _, name = connection.user.partition(".")
    users = [{"user": name, "db": database}] if connection.user else []
    return {"authInfo": {"authenticatedUsers": users, "authenticatedUserRoles": []}}


async def sasl_start(connection: Connection[Door], body: Document) -> Document:
    if body["mechanism"] != scram.MECHANISM:
        raise Refusal(
            2, f"Received authentication for mechanism {body['mechanism']} which is not enabled (this stand-in has {scram.MECHANISM})"
        )
    name = scram.user(body["payload"])
    connection.beginning = f"{body['$db']}.{name}"
    connection.conversation = Conversation(body["payload"], await connection.server.known(body["$db"], name))
    connection.skips_empty = bool(body.get("options", {}).get("skipEmptyExchange"))
    return {"conversationId": 1, "done": False, "payload": connection.conversation.begin()}


async def sasl_continue(connection: Connection[Door], body: Document) -> Document:
    conversation = connection.conversation
    if conversation is None:
        raise Refusal(18, "Authentication failed.")
    payload = b""
    if not conversation.is_done:
        try:
            payload = conversation.end(body["payload"])
        except WrongPassword:
            connection.conversation = None
            raise Refusal(18, "Authentication failed.") from None
    is_over = connection.skips_empty or not payload
    if is_over:
        connection.user, connection.conversation = connection.beginning, None
    return {"conversationId": 1, "done": is_over, "payload": payload}


async def create_user(connection: Connection[Server], body: Document) -> Document:
    database, name = body["$db"], body["createUser"]
    id = f"{database}.{name}"
    roles = [one if isinstance(one, dict) else {"role": one, "db": database} for one in body["roles"]]
    if unknown := [one for one in roles if one["role"] not in _ROLES]:
        raise Refusal(31, f"Could not find role: {unknown[0]['role']}@{unknown[0]['db']} (this stand-in has {', '.join(_ROLES)})")
    if connection.server.log.documents.get(USERS, id):
        raise Refusal(51003, f'User "{name}@{database}" already exists')
    kept: Any = {scram.MECHANISM: scram.stored(body["pwd"])}
    user = {"_id": id, "user": name, "db": database, "credentials": kept, "roles": roles}
    return await writes.write(connection, body, [(USERS, id, user)], {})


async def update_user(connection: Connection[Server], body: Document) -> Document:
    id = f"{body['$db']}.{body['updateUser']}"
    user = connection.server.log.documents.get(USERS, id)
    if not user:
        raise Refusal(11, f"User {body['updateUser']}@{body['$db']} not found")
    changed = {**user, "credentials": {scram.MECHANISM: scram.stored(body["pwd"])}}
    return await writes.write(connection, body, [(USERS, id, changed)], {})


async def users_info(connection: Connection[Server], body: Document) -> Document:
    wanted = body["usersInfo"]
    named = wanted if isinstance(wanted, dict) else {"user": wanted, "db": body["$db"]} if isinstance(wanted, str) else {"db": body["$db"]}
    found = connection.server.log.documents.find(USERS, named)
    hidden = set() if body.get("showCredentials") else {"credentials"}
    return {"users": [{key: value for key, value in one.items() if key not in hidden} for one in found]}


async def set_features(connection: Connection[Server], body: Document) -> Document:
    if body["$db"] != "admin":
        raise Refusal(13, "setFeatureCompatibilityVersion may only be run against the admin database.")
    version = versions.check(body)
    changes = [] if versions.of(connection.server.log.documents) == version else [versions.written(version)]
    return await writes.write(connection, body, changes, {})


LOG_IN: dict[str, Handler[Door]] = {
    "ping": nothing,
    "buildInfo": build_info,
    "buildinfo": build_info,
    "endSessions": nothing,
    "connectionStatus": connection_status,
    "saslStart": sasl_start,
    "saslContinue": sasl_continue,
}
HANDLERS: dict[str, Handler[Server]] = {
    **LOG_IN,
    **dict.fromkeys(GREETINGS, hello),
    "createUser": create_user,
    "setFeatureCompatibilityVersion": set_features,
    "updateUser": update_user,
    "usersInfo": users_info,
}
FREE = frozenset({*LOG_IN, *GREETINGS})
