"""An unchanged driver as a client of a MongoDB service, run inside the lab's namespaces: a question as JSON in, the answer as JSON out."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pymongo
from pymongo import errors


def connected(question: dict[str, Any], host: str = "", **more: Any) -> pymongo.MongoClient[dict[str, Any]]:
    """To a set by the names of its members, to one of them, or to a cluster by the names of its routers."""
    of_set = {"replicaSet": question["set"]} if "set" in question else {}
    place = {"host": host, "directConnection": True} if host else {"host": question["hosts"], **of_set}
    return pymongo.MongoClient(**place, **more, serverSelectionTimeoutMS=30_000, timeoutMS=60_000)


def write(question: dict[str, Any]) -> dict[str, Any]:
    """Write one document after the other for some seconds: which ones a majority has acknowledged, and the longest time between two."""
    client = connected(question, username="admin", password=question["password"])
    acknowledged, failed, longest = [], [], 0.0
    end, last = time.monotonic() + question["seconds"], time.monotonic()
    number = question["first"]
    while time.monotonic() < end:
        try:
            client.judged.numbers.insert_one({"_id": number})
            acknowledged.append(number)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        except errors.PyMongoError as error:
            failed.append(f"{number}: {error}")
        number += 1
        time.sleep(0.05)
    return {"acknowledged": acknowledged, "failed": failed, "longest": longest, "primary": client.primary}


def read(question: dict[str, Any]) -> dict[str, Any]:
    """Of each member: the state it says it is in, which documents it has, whether it refuses strangers, its version and its data's."""
    said: dict[str, Any] = {}
    for host in question["hosts"]:
        client = connected(question, host, username="admin", password=question["password"], readPreference="secondaryPreferred")
        status = client.admin.command("replSetGetStatus")
        state = next(one["stateStr"] for one in status["members"] if one.get("self"))
        numbers = [one["_id"] for one in client.judged.numbers.find()]
        (kept,) = client.admin["system.version"].find({"_id": "featureCompatibilityVersion"})
        versions = [client.server_info()["version"], kept["version"]]
        said[host] = {"state": state, "numbers": numbers, "refuses": refuses(connected(question, host)), "versions": versions}
    config = client.admin.command("replSetGetConfig")["config"]
    return {"members": said, "votes": {one["host"]: one["votes"] for one in config["members"]}}


def scatter(question: dict[str, Any]) -> dict[str, Any]:
    """Write a document into each of several databases of a cluster: where each of these lies."""
    client = connected(question, username="admin", password=question["password"])
    for name in question["databases"]:
        client[name].papers.insert_one({"_id": name})
    return {"homes": {one["_id"]: one["primary"] for one in client.config.databases.find()}}


def gather(question: dict[str, Any]) -> dict[str, Any]:
    """What is in each of these databases, which shards there are, and whether strangers are refused."""
    client = connected(question, username="admin", password=question["password"])
    documents = {name: [one["_id"] for one in client[name].papers.find()] for name in question["databases"]}
    shards = sorted(one["_id"] for one in client.admin.command("listShards")["shards"])
    return {"documents": documents, "shards": shards, **knock(question)}


def knock(question: dict[str, Any]) -> dict[str, Any]:
    return {"refuses": all(refuses(connected(question, host)) for host in question["hosts"])}


def refuses(stranger: pymongo.MongoClient[dict[str, Any]]) -> bool:
    refused = 0
    for ask in (stranger.judged.numbers.find_one, lambda: stranger.admin.command("listDatabases")):
        try:
            ask()
        except errors.OperationFailure as error:
            refused += error.code == 13
    return refused == 2


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    print(json.dumps({"write": write, "read": read, "scatter": scatter, "gather": gather, "knock": knock}[asked["do"]](asked)))  # noqa: T201 - the answer
