"""What the Jobs of a MongoDB service run: JavaScript for `mongosh`. Passwords come from mounted files only, never from here.

`mongosh` awaits calls of the server by itself, but not within callbacks: so loops, where others would map. What a server refuses is thrown.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.model.initialise import LEADER

ADMIN = "admin"

# A member is the user `__system` of the database `local`, whose password is the content of the keyfile: so says MongoDB's own source
# (src/mongo/db/auth/README.md, "Cluster Authentication"), which strips it of white space. So a Job can found a set and make its first user
# without the exception for localhost, where no Job is, and authentication is on from the first start.
_OPENING = """\
const fs = require("fs");
const secret = (name) => fs.readFileSync("{secrets}/" + name, "utf8");
const system = "__system:" + secret("keyfile").replace(/\\s/g, "");
const admin = "{admin}:" + encodeURIComponent(secret("password").replace(/\\n+$/, ""));
const hosts = {hosts};
function at(host, login, source) {{
  const wait = "serverSelectionTimeoutMS=4000&connectTimeoutMS=4000&socketTimeoutMS=60000&directConnection=true";
  const uri = login ? "mongodb://" + login + "@" + host + "/?authSource=" + source + "&" + wait : "mongodb://" + host + "/?" + wait;
  return new Mongo(uri).getDB("admin");
}}
"""

_LOOK = """\
function state(host) {
  try {
    const status = at(host, system, "local").runCommand({ replSetGetStatus: 1 });
    return status.members.find((one) => one.self).stateStr;
  } catch (error) {
    return { 18: "foreign", 93: "REMOVED", 94: "new" }[error.code] || "silent";
  }
}
function answers(host, login, codes) {
  try {
    at(host, login, "admin").runCommand({ listDatabases: 1, nameOnly: true });
    return "in";
  } catch (error) {
    return codes[error.code] || "silent";
  }
}
const said = { members: [], set: [], others: [], user: false };
for (const host of hosts) {
  const found = state(host);
  if (found === "silent") {
    said.members.push("silent");
    continue;
  }
  const stranger = answers(host, "", { 13: "out" });
  const known = answers(host, admin, { 13: "out", 18: "out" });
  said.members.push(found + " " + stranger + " " + known);
  if (found === "PRIMARY") {
    const db = at(host, system, "local");
    const config = db.runCommand({ replSetGetConfig: 1 }).config;
    said.set = [];
    for (const one of config.members) {
      const index = hosts.indexOf(one.host);
      if (index >= 0) said.set.push([index, one.votes]);
      else if (said.others.length < 3) said.others.push(one.host);
    }
    said.user = db.runCommand({ usersInfo: "{admin}" }).users.length > 0;
  }
}
print(JSON.stringify(said));
"""

_INITIATE = """\
try {
  at(hosts[0], system, "local").runCommand({ replSetInitiate: {config} });
} catch (error) {
  if (error.code !== 23) throw error;
}
"""

_PRIMARY = """\
function primary() {
  for (const host of hosts) {
    try {
      const db = at(host, system, "local");
      const greeting = db.runCommand({ hello: 1 });
      if (greeting.isWritablePrimary) return db;
    } catch (error) {
      print(host + ": " + error.message);
    }
  }
  throw new Error("no member is primary");
}
"""

# Version and term of what was read go along, so of two who change a set at once one is refused.
_CONFIGURE = """\
const change = {change};
const db = primary();
const config = db.runCommand({ replSetGetConfig: 1 }).config;
const before = JSON.stringify(config.members);
const own = config.members.find((one) => one.host === change.host);
if (!change.member) config.members = config.members.filter((one) => one.host !== change.host);
else if (own) Object.assign(own, change.member);
else {
  const ids = config.members.map((one) => one._id);
  const id = ids.includes(change.id) ? Math.max(...ids) + 1 : change.id;
  config.members.push({ _id: id, host: change.host, ...change.member });
}
if (JSON.stringify(config.members) !== before) {
  config.version += 1;
  db.runCommand({ replSetReconfig: config });
}
"""

_USER = """\
try {
  const password = secret("password").replace(/\\n+$/, "");
  const roles = [{ role: "root", db: "admin" }];
  primary().runCommand({ createUser: "{admin}", pwd: password, roles: roles, writeConcern: { w: "majority", wtimeout: 60000 } });
} catch (error) {
  if (error.code !== 51003) throw error;
}
"""


_LEADS = """\
function leads(host) {
  try {
    return at(host, system, "local").runCommand({ hello: 1 }).isWritablePrimary === true;
  } catch (error) {
    return false;
  }
}
"""

_LEADER = """\
const names = {names};
let found = "";
for (const host of hosts) if (leads(host)) found = names[hosts.indexOf(host)];
print(JSON.stringify({ {leader}: found }));
"""

# A primary goes once another has all that was written; the set is without one as short as can be, and the script ends when it has one.
_STEP_DOWN = """\
for (const host of {leaving}) {
  if (leads(host)) at(host, system, "local").runCommand({ replSetStepDown: 60, secondaryCatchUpPeriodSecs: 30 });
}
let elected = false;
for (let tries = 0; tries < 60 && !elected; tries += 1) {
  for (const host of hosts) elected = elected || leads(host);
  if (!elected) sleep(500);
}
"""

_DRAINED = """\
const said = { primary: "", members: [], founded: false };
for (const host of hosts) {
  try {
    const config = at(host, system, "local").runCommand({ replSetGetConfig: 1 }).config;
    said.founded = true;
    if (!leads(host)) continue;
    said.primary = host;
    for (const one of config.members) if ({leaving}.includes(one.host)) said.members.push(one.host);
  } catch (error) {
    if (error.code !== 94) said.founded = true;
  }
}
print(JSON.stringify(said));
"""


def look(hosts: Sequence[str], secrets: str) -> str:
    """Asks every member how it is, whether it keeps strangers out, and whether it knows the admin."""
    return _bash(hosts, secrets, _LOOK.replace("{admin}", ADMIN), answers=True)


def initiate(hosts: Sequence[str], secrets: str, config: Mapping[str, Any]) -> str:
    """Founds the set; of no effect where there is one."""
    return _bash(hosts, secrets, _INITIATE.replace("{config}", json.dumps(config)))


def configure(hosts: Sequence[str], secrets: str, host: str, id: int, member: Mapping[str, Any] | None) -> str:
    """Makes *member* of what the set's configuration says of *host*: adds it, changes it, or, given None, takes it out."""
    change = json.dumps({"host": host, "id": id, "member": member})
    return _bash(hosts, secrets, _PRIMARY + _CONFIGURE.replace("{change}", change))


def leader(hosts: Sequence[str], secrets: str, names: Sequence[str]) -> str:
    """Asks every member whether it is primary; *names* are those of *hosts*."""
    return _bash(hosts, secrets, _LEADS + _LEADER.replace("{names}", json.dumps(list(names))).replace("{leader}", LEADER), answers=True)


def step_down(hosts: Sequence[str], secrets: str, leaving: Sequence[str]) -> str:
    """Has whichever of *leaving* is primary let another be it; of no effect where none of them is."""
    return _bash(hosts, secrets, _LEADS + _STEP_DOWN.replace("{leaving}", json.dumps(list(leaving))))


def drained(hosts: Sequence[str], secrets: str, leaving: Sequence[str]) -> str:
    """Asks who is primary, and which of *leaving* are in the set still."""
    return _bash(hosts, secrets, _LEADS + _DRAINED.replace("{leaving}", json.dumps(list(leaving))), answers=True)


def user(hosts: Sequence[str], secrets: str) -> str:
    """Makes the admin; of no effect where there is one."""
    return _bash(hosts, secrets, _PRIMARY + _USER.replace("{admin}", ADMIN))


def _bash(hosts: Sequence[str], secrets: str, script: str, *, answers: bool = False) -> str:
    opening = _OPENING.format(hosts=json.dumps(list(hosts)), secrets=secrets, admin=ADMIN)
    run = f"mongosh --quiet --norc --nodb --eval {shlex.quote(opening + script)}"
    return f'said=$({run}) || {{ echo "$said"; exit 1; }}\nsay "$said"\n' if answers else f"{run}\n"
