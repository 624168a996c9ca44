"""Commands of documents: insert, update, delete, find, count. One command is one entry of the oplog, whole or not at all."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, TypeAlias

from bson import ObjectId

from lab.standins.mongod import matching
from lab.standins.mongod.log import Documents
from lab.standins.mongod.member import State
from lab.standins.mongod.refusal import NAMES, Refusal
from lab.standins.mongod.server import Connection, Handler, Server
from lab.standins.mongod.wire import Document

Change: TypeAlias = tuple[str, Any, Document | None]
_FOR_EVER = 86_400.0  # where a client sets no limit


class Draft:
    """What the documents will be once a command is through: its later parts see what its earlier ones have done."""

    def __init__(self, documents: Documents, namespace: str) -> None:
        self._documents = documents
        self._namespace = namespace
        self._changed: dict[str, tuple[Any, Document | None]] = {}

    def find(self, wanted: Document) -> list[Document]:
        kept = (one for one in self._documents.find(self._namespace, {}) if repr(one["_id"]) not in self._changed)
        mine = (one for _, one in self._changed.values() if one is not None)
        return [one for one in (*kept, *mine) if matching.matches(one, wanted)]

    def put(self, id: Any, document: Document | None) -> None:
        self._changed[repr(id)] = (id, document)

    @property
    def changes(self) -> list[Change]:
        return [(self._namespace, id, document) for id, document in self._changed.values()]


async def write(connection: Connection[Server], body: Document, changes: Iterable[Change], answer: Document) -> Document:
    """Write *changes*, wait until as many members have them as *body* asks for, and give *answer* with what came of it."""
    member = connection.server.member
    if member.state is not State.PRIMARY:
        raise Refusal(10107, "not primary")
    session = _session(body, answer)
    term, written = member.term, list(changes)
    index = member.log.written(term, written, session) if written else len(member.log.entries)
    member.advance()
    member.stir()
    return {**answer, **await _confirmed(connection, body.get("writeConcern", {}), term, index)}


def _session(body: Document, answer: Document) -> Document | None:
    """By what a repeated write is known: the client's session and its number in it."""
    return {"id": bytes(body["lsid"]["id"]), "number": body["txnNumber"], "answer": answer} if "txnNumber" in body else None


async def _confirmed(connection: Connection[Server], concern: Document, term: int, index: int) -> Document:
    """Nothing, once enough members have entry *index*; or why that could not be waited for."""
    member, wanted = connection.server.member, concern.get("w", "majority")
    within = concern.get("wtimeout", 0) / 1000 or _FOR_EVER
    if isinstance(wanted, int) and member.config and wanted > len(member.config["members"]):
        return _unconfirmed(100, "Not enough data-bearing nodes")

    def is_lost() -> bool:
        return member.state is not State.PRIMARY or member.term != term

    def is_confirmed() -> bool:
        return member.copies(index) >= wanted if isinstance(wanted, int) else member.commit >= index

    if not await member.until(lambda: is_lost() or is_confirmed(), within):
        return _unconfirmed(64, "waiting for replication timed out")
    return _unconfirmed(189, "operation was interrupted because this member is primary no more") if is_lost() else {}


def _unconfirmed(code: int, message: str) -> Document:
    return {"writeConcernError": {"code": code, "codeName": NAMES[code], "errmsg": message}}


def _place(connection: Connection[Server], body: Document) -> tuple[Draft, str]:
    name = next(iter(body))
    namespace = f"{body['$db']}.{body[name]}"
    if connection.server.member.state is not State.PRIMARY:
        raise Refusal(10107, "not primary")
    return Draft(connection.server.log.documents, namespace), namespace


async def _again(connection: Connection[Server], body: Document) -> Document | None:
    """The answer to a write that was done already, and is asked for again because its answer was lost."""
    if "txnNumber" not in body:
        return None
    number, answer = connection.server.log.documents.sessions.get(bytes(body["lsid"]["id"]), (-1, {}))
    return await write(connection, body, [], answer) if number == body["txnNumber"] else None


async def insert(connection: Connection[Server], body: Document) -> Document:
    draft, namespace = _place(connection, body)
    if done := await _again(connection, body):
        return done
    count, errors = 0, []
    for number, given in enumerate(body["documents"]):
        document = given if "_id" in given else {"_id": ObjectId(), **given}
        if draft.find({"_id": document["_id"]}):
            text = f"E11000 duplicate key error collection: {namespace} index: _id_ dup key: {{ _id: {document['_id']!r} }}"
            errors.append({"index": number, "code": 11000, "errmsg": text, "keyPattern": {"_id": 1}, "keyValue": {"_id": document["_id"]}})
            if body.get("ordered", True):
                break
        else:
            draft.put(document["_id"], document)
            count += 1
    return await write(connection, body, draft.changes, {"n": count, **({"writeErrors": errors} if errors else {})})


async def update(connection: Connection[Server], body: Document) -> Document:
    draft, _ = _place(connection, body)
    if done := await _again(connection, body):
        return done
    matched, modified = 0, 0
    upserted: list[Document] = []
    for number, one in enumerate(body["updates"]):
        found = draft.find(one["q"])[: None if one.get("multi") else 1]
        matched += len(found)
        for document in found:
            after = matching.updated(document, one["u"])
            modified += after != document
            draft.put(document["_id"], after)
        if not found and one.get("upsert"):
            made = matching.begun(one["q"], one["u"])
            made = made if "_id" in made else {"_id": ObjectId(), **made}
            draft.put(made["_id"], made)
            upserted.append({"index": number, "_id": made["_id"]})
            matched += 1
    answer = {"n": matched, "nModified": modified, **({"upserted": upserted} if upserted else {})}
    return await write(connection, body, draft.changes, answer)


async def delete(connection: Connection[Server], body: Document) -> Document:
    draft, _ = _place(connection, body)
    if done := await _again(connection, body):
        return done
    count = 0
    for one in body["deletes"]:
        for document in draft.find(one["q"])[: one["limit"] or None]:
            draft.put(document["_id"], None)
            count += 1
    return await write(connection, body, draft.changes, {"n": count})


def _found(connection: Connection[Server], body: Document, name: str, wanted: Document) -> list[Document]:
    """What is to be read here; a member that is not primary is read only by who says so."""
    state = connection.server.member.state
    if state not in (State.PRIMARY, State.SECONDARY):
        raise Refusal(13436, f"node is not in primary or recovering state, but {state.name}")
    preference = body.get("$readPreference", {}).get("mode", "primary")
    if state is State.SECONDARY and preference == "primary":
        raise Refusal(13435, "not primary and secondaryOk=false")
    return list(connection.server.log.documents.find(f"{body['$db']}.{body[name]}", wanted))


async def find(connection: Connection[Server], body: Document) -> Document:
    if unknown := {"projection", "hint", "collation", "tailable"} & body.keys():
        raise Refusal(2, f"this stand-in has no {', '.join(sorted(unknown))}")
    found = _found(connection, body, "find", body.get("filter", {}))
    for field, way in reversed(body.get("sort", {}).items()):
        found.sort(key=operator.itemgetter(field), reverse=way < 0)
    found = found[body.get("skip", 0) :]
    limit = abs(body.get("limit", 0))
    batch = found[:limit] if limit else found  # all of it at once: no cursor stays open
    return {"cursor": {"id": 0, "ns": f"{body['$db']}.{body['find']}", "firstBatch": batch}}


async def count(connection: Connection[Server], body: Document) -> Document:
    return {"n": len(_found(connection, body, "count", body.get("query", {})))}


async def aggregate(connection: Connection[Server], body: Document) -> Document:
    """The one pipeline that drivers count documents with."""
    match body["pipeline"]:
        case [{"$match": wanted}, {"$group": {"_id": 1, "n": {"$sum": 1}}}]:
            number = len(_found(connection, body, "aggregate", wanted))
            batch = [{"_id": 1, "n": number}] if number else []
            return {"cursor": {"id": 0, "ns": f"{body['$db']}.{body['aggregate']}", "firstBatch": batch}}
    raise Refusal(2, "this stand-in aggregates nothing but the count of documents")


async def list_databases(connection: Connection[Server], _body: Document) -> Document:
    names = sorted({name.partition(".")[0] for name, documents in connection.server.log.documents.collections.items() if documents})
    return {"databases": [{"name": name, "empty": False} for name in names]}


async def list_collections(connection: Connection[Server], body: Document) -> Document:
    prefix = f"{body['$db']}."
    found = connection.server.log.documents.collections.items()
    names = sorted(name.removeprefix(prefix) for name, documents in found if name.startswith(prefix) and documents)
    batch = [{"name": name, "type": "collection"} for name in names]
    return {"cursor": {"id": 0, "ns": f"{prefix}$cmd.listCollections", "firstBatch": batch}}


HANDLERS: dict[str, Handler[Server]] = {
    "insert": insert,
    "update": update,
    "delete": delete,
    "find": find,
    "count": count,
    "aggregate": aggregate,
    "listDatabases": list_databases,
    "listCollections": list_collections,
}
