"""A stand-in for `mongosh`, MongoDB's shell: runs JavaScript (QuickJS) against real connections (pymongo).

Knows what the scripts of `stacks/_mongosh.py` use, and nothing else: `--quiet --norc --nodb --eval SCRIPT`, `new Mongo(uri).getDB(name)`
with `runCommand`, which throws what the server refuses with its code, `require("fs").readFileSync`, `print`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pymongo
import quickjs
from bson import json_util
from pymongo import errors

_SHELL = """
function require(name) {
  if (name !== "fs") throw new Error("the stand-in for mongosh has the module fs only, not " + name);
  return { readFileSync: __read };
}
class Mongo {
  constructor(uri) { this.uri = uri; }
  getDB(name) { return new Database(this.uri, name); }
}
class Database {
  constructor(uri, name) { this.uri = uri; this.name = name; }
  runCommand(command) {
    const said = JSON.parse(__command(this.uri, this.name, JSON.stringify(command)));
    if ("failed" in said) throw Object.assign(new Error(said.failed), { code: said.code });
    return said.answer;
  }
}
function print(...words) { __print(words.join(" ")); }
"""
_connections: dict[str, pymongo.MongoClient[dict[str, object]]] = {}
# As plain numbers where JavaScript has them; ObjectIds and dates keep a form that comes back as they were.
_OPTIONS = json_util.JSONOptions(json_mode=json_util.JSONMode.RELAXED)


def command(uri: str, database: str, text: str) -> str:
    """One command, and what came of it, as JSON."""
    client = _connections.setdefault(uri, pymongo.MongoClient(uri))
    try:
        answer = client[database].command(json_util.loads(text, json_options=_OPTIONS))
    except errors.OperationFailure as error:
        return json.dumps({"failed": str(error.details and error.details.get("errmsg")), "code": error.code})
    except errors.PyMongoError as error:
        return json.dumps({"failed": f"{type(error).__name__}: {error}"})
    return json.dumps({"answer": json.loads(json_util.dumps(answer, json_options=_OPTIONS))})


def main() -> int:
    parser = argparse.ArgumentParser(prog="mongosh", description="A stand-in for MongoDB's shell.")
    parser.add_argument("--eval", dest="script", required=True)
    for flag in ("--quiet", "--norc", "--nodb"):
        parser.add_argument(flag, action="store_true", required=True)
    script = parser.parse_args().script
    context = quickjs.Context()
    context.add_callable("__read", lambda path, _encoding: Path(path).read_text())
    context.add_callable("__print", lambda text: print(text, flush=True))  # noqa: T201 - its output
    context.add_callable("__command", command)
    try:
        context.eval(_SHELL)
        context.eval(script)
    except quickjs.JSException as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    finally:
        for client in _connections.values():
            client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
