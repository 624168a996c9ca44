"""A stand-in for `mongosh`, MongoDB's shell: runs JavaScript (QuickJS) against real connections (pymongo).

Knows what the scripts of `stacks/_mongosh.py` use, and nothing else: `--quiet --norc --nodb --eval SCRIPT`, `new Mongo(uri).getDB(name)`
with `runCommand`, which throws what the server refuses with its code, `require("fs").readFileSync`, `print`, `sleep`.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymongo
import quickjs
from bson import json_util
from pymongo import errors

# Everything crosses over as JSON: the engine keeps a long string in pieces until it has to be one, and these cannot cross.
_SHELL = """
function __ask(name, ...words) { return JSON.parse(__call(JSON.stringify([name, ...words]))); }
function require(name) {
  if (name !== "fs") throw new Error("the stand-in for mongosh has the module fs only, not " + name);
  return { readFileSync: (path) => __ask("read", path) };
}
class Mongo {
  constructor(uri) { this.uri = uri; }
  getDB(name) { return new Database(this.uri, name); }
}
class Database {
  constructor(uri, name) { this.uri = uri; this.name = name; }
  runCommand(command) {
    const said = __ask("command", this.uri, this.name, command);
    if ("failed" in said) throw Object.assign(new Error(said.failed), { code: said.code });
    return said.answer;
  }
}
function sleep(milliseconds) { __ask("sleep", milliseconds); }
function print(...words) { __ask("print", words.join(" ")); }
"""
# As plain numbers where JavaScript has them; ObjectIds and dates keep a form that comes back as they were.
_OPTIONS = json_util.JSONOptions(json_mode=json_util.JSONMode.RELAXED)


def call(text: str) -> str:
    """What JavaScript asks for: a name and arguments, as JSON."""
    name, *arguments = json_util.loads(text, json_options=_OPTIONS)
    try:
        return json_util.dumps(_CALLS[name](*arguments), json_options=_OPTIONS)
    except Exception:
        traceback.print_exc()  # JavaScript hears only that a call failed
        raise


def command(uri: str, database: str, body: dict[str, Any]) -> dict[str, Any]:
    """One command on a connection of its own, and what came of it."""
    try:
        with pymongo.MongoClient[Any](uri) as client:
            return {"answer": client[database].command(body)}
    except errors.OperationFailure as error:
        return {"failed": str(error.details and error.details.get("errmsg")), "code": error.code}
    except errors.PyMongoError as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - its output


def _sleep(milliseconds: int) -> None:
    time.sleep(milliseconds / 1000)


_CALLS: dict[str, Callable[..., Any]] = {"read": lambda path: Path(path).read_text(), "print": _print, "sleep": _sleep, "command": command}


def main() -> int:
    parser = argparse.ArgumentParser(prog="mongosh", description="A stand-in for MongoDB's shell.")
    parser.add_argument("--eval", dest="script", required=True)
    for flag in ("--quiet", "--norc", "--nodb"):
        parser.add_argument(flag, action="store_true", required=True)
    script = parser.parse_args().script
    context = quickjs.Context()
    context.add_callable("__call", call)
    try:
        context.eval(_SHELL)
        context.eval(script)
    except quickjs.JSException as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
