"""A stand-in for CouchDB's servers: of their API what looks and steps use, with the answers that CouchDB documents.

Each node has `_nodes` and `_dbs` of its own, and pushes them to those that it knows when a test says so (`sync`): in between they differ.
It was written from the documentation and CouchDB's source, and never held against a real server.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

SYSTEM = ("_users", "_replicator", "_global_changes")
Answer = tuple[int, Any]
_CONFLICT: Answer = (409, {"error": "conflict", "reason": "Document update conflict."})
_MISSING: Answer = (404, {"error": "not_found", "reason": "missing"})


@dataclass
class Doc:
    """A document of `_nodes`: equal histories have equal revisions, wherever they were written."""

    fields: dict[str, Any]
    generation: int = 0
    digest: str = ""
    deleted: bool = False

    @property
    def rev(self) -> str:
        return f"{self.generation}-{self.digest}"

    def after(self, fields: dict[str, Any], *, deleted: bool = False) -> Doc:
        text = json.dumps([self.rev if self.generation else "", fields, deleted], sort_keys=True)
        return Doc(fields, self.generation + 1, hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), deleted)

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Who wins among conflicting ones, on every node the same."""
        return not self.deleted, self.generation, self.digest


@dataclass
class Node:
    """One server's own databases: who is in its cluster, and which hosts hold a database."""

    nodes: dict[str, Doc]
    databases: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Town:
    """Some servers of one port, each at a loopback address of its own."""

    password: str = "secret"
    zones: tuple[str, ...] = ()  # a placement of one copy in each
    servers: dict[str, Node] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)  # who lets strangers in
    asked: list[str] = field(default_factory=list)
    interrupt: Callable[[], None] | None = None  # called when a request had its effect, before its answer goes out
    port: int = 0
    _running: list[ThreadingHTTPServer] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, host: str) -> None:
        """A server that knows nobody but itself."""
        self.servers[host] = Node({_id(host): Doc({}).after({})})
        server = ThreadingHTTPServer((host, self.port), _handler(self, host))
        self.port = server.server_address[1]
        self._running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        for server in self._running:
            server.shutdown()
            server.server_close()

    def keep(self) -> dict[str, Node]:
        return copy.deepcopy(self.servers)

    def sync(self) -> None:
        """Internal replication, until there is nothing left to push."""
        before = None
        while before != self.servers:
            before = self.keep()
            for host, own in self.servers.items():
                for other in self.cluster(host):
                    if other in self.servers and other != host:
                        _push(own, self.servers[other])

    def cluster(self, host: str) -> list[str]:
        return sorted(_host(id) for id, doc in self.servers[host].nodes.items() if not doc.deleted)

    def connected(self, host: str) -> list[str]:
        return sorted(other for other in self.servers if other == host or other in self.cluster(host) or host in self.cluster(other))

    def answer(self, host: str, method: str, url: str, authorization: str, body: str) -> Answer:
        with self._lock:
            self.asked.append(f"{method} {host}{url}")
            path = unquote(urlsplit(url).path)
            told = self._refused(host, authorization) or self._answer(host, method, path, urlsplit(url).query, body)
            if interrupt := self.interrupt:
                interrupt()
            return told

    def _refused(self, host: str, authorization: str) -> Answer | None:
        if not authorization:
            return None if host in self.open else (401, {"error": "unauthorized", "reason": "Authentication required."})
        known = base64.b64encode(f"admin:{self.password}".encode()).decode()
        return None if authorization == f"Basic {known}" else (401, {"error": "unauthorized", "reason": "Name or password is incorrect."})

    def _answer(self, host: str, method: str, path: str, query: str, body: str) -> Answer:
        own, told = self.servers[host], parse_qs(query)
        match method, path.removeprefix("/").split("/"):
            case "GET", ["_cluster_setup"]:
                return 200, {"state": "cluster_finished" if set(SYSTEM) <= own.databases.keys() else "cluster_enabled"}
            case "GET", ["_membership"]:
                names = {"all_nodes": self.connected(host), "cluster_nodes": self.cluster(host)}
                return 200, {name: [_id(one) for one in found] for name, found in names.items()}
            case _, ["_node", "_local", "_nodes", id]:
                return _ON_DOCUMENTS[method](own, id, json.loads(body or "{}"), told)
            case "GET", ["_all_dbs"]:
                return 200, sorted(own.databases)[: int(told["limit"][0]) if "limit" in told else None]
            case "PUT", name:
                return self._create(own, "/".join(name))
            case _, name:
                return _database(own, name)

    def _create(self, own: Node, name: str) -> Answer:
        if name in own.databases:
            return 412, {"error": "file_exists", "reason": "The database could not be created, the file already exists."}
        free = {_host(id): doc.fields.get("zone") for id, doc in own.nodes.items() if not doc.deleted and not doc.fields.get("decom")}
        holders = [next((host for host, zone in sorted(free.items()) if zone == wanted), "") for wanted in self.zones] or sorted(free)[:3]
        if "" in holders:
            return 500, {"error": "no_nodes_in_zone"}
        own.databases[name] = holders
        return 201, {"ok": True}


def _database(own: Node, name: list[str]) -> Answer:
    if name[-1] == "_shards":
        holders = own.databases.get("/".join(name[:-1]))
        return (200, {"shards": {"00000000-ffffffff": [_id(one) for one in holders]}}) if holders else _MISSING
    is_there = "/".join(name) in own.databases
    return (200, {"db_name": "/".join(name)}) if is_there else (404, {"error": "not_found", "reason": "Database does not exist."})


def _get(own: Node, id: str, _body: dict[str, Any], _told: dict[str, list[str]]) -> Answer:
    live = _live(own, id)
    return (200, {"_id": id, "_rev": live.rev, **live.fields}) if live else _MISSING


def _put(own: Node, id: str, body: dict[str, Any], _told: dict[str, list[str]]) -> Answer:
    live = _live(own, id)
    if (live.rev if live else None) != body.pop("_rev", None):
        return _CONFLICT
    own.nodes[id] = own.nodes.get(id, Doc({})).after(body)
    return 201, {"ok": True, "id": id, "rev": own.nodes[id].rev}


def _delete(own: Node, id: str, _body: dict[str, Any], told: dict[str, list[str]]) -> Answer:
    live = _live(own, id)
    if live is None or told.get("rev") != [live.rev]:
        return _CONFLICT if live else _MISSING
    own.nodes[id] = live.after({}, deleted=True)
    return 200, {"ok": True, "id": id, "rev": own.nodes[id].rev}


_ON_DOCUMENTS = {"GET": _get, "PUT": _put, "DELETE": _delete}


def _live(own: Node, id: str) -> Doc | None:
    found = own.nodes.get(id)
    return None if found is None or found.deleted else found


def _push(own: Node, other: Node) -> None:
    for id, doc in own.nodes.items():
        known = other.nodes.get(id)
        if known is None or (doc.generation, doc.rank) > (known.generation, known.rank):
            other.nodes[id] = copy.deepcopy(doc)
    for name, holders in own.databases.items():
        other.databases.setdefault(name, list(holders))


def _id(host: str) -> str:
    return f"couchdb@{host}"


def _host(id: str) -> str:
    return id.removeprefix("couchdb@")


def _handler(town: Town, host: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, told = town.answer(host, self.command, self.path, self.headers.get("Authorization", ""), body)
            text = f"{json.dumps(told, separators=(',', ':'))}\n".encode()
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            except OSError:
                self.close_connection = True  # who asked was killed

        do_GET = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:
            """Quietly."""

        def setup(self) -> None:
            super().setup()
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    return Handler
