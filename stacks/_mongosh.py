"""What the Jobs of a MongoDB service run: JavaScript for `mongosh`. Passwords come from mounted files only, never from here.

`mongosh` awaits calls of the server by itself, but not within callbacks: so loops, where others would map; and not a call that is returned
as it is, whose refusal no `catch` around it sees: so names. What a server refuses is thrown.
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
const hosts = {hosts};
function at(host, login, source) {{
  const wait = "serverSelectionTimeoutMS=4000&connectTimeoutMS=4000&socketTimeoutMS=60000&directConnection=true";
  const uri = login ? "mongodb://" + login + "@" + host + "/?authSource=" + source + "&" + wait : "mongodb://" + host + "/?" + wait;
  return new Mongo(uri).getDB("admin");
}}
"""

# Who only has the keyfile, as in a sharded cluster's sets, has no user to ask for.
_ADMIN = """\
const admin = "{admin}:" + encodeURIComponent(secret("password").replace(/\\n+$/, ""));
"""

_ANSWERS = """\
function answers(host, login, codes) {
  try {
    at(host, login, "admin").runCommand({ listDatabases: 1, nameOnly: true });
    return "in";
  } catch (error) {
    return codes[error.code] || "silent";
  }
}
"""

# The document that the set, or the cluster's config servers, have of it; a cluster's is the new one once all shards have it.
# https://www.mongodb.com/docs/manual/reference/command/setFeatureCompatibilityVersion/
_FEATURES = """\
function features(db) {
  const wanted = { _id: "featureCompatibilityVersion" };
  const found = db.runCommand({ find: "system.version", filter: wanted }).cursor.firstBatch;
  return found.length ? found[0].version : "";
}
"""

# Whoever asks says that there is no way back. Of no effect where it is so; what was begun and not ended goes on.
_SET_FEATURES = """\
const concern = { w: "majority", wtimeout: 60000 };
primary().runCommand({ setFeatureCompatibilityVersion: {version}, confirm: true, writeConcern: concern });
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
const said = { members: [], set: [], others: [], user: false, features: "" };
for (const host of hosts) {
  const found = state(host);
  if (found === "silent") {
    said.members.push("silent");
    continue;
  }
  const stranger = answers(host, "", { 13: "out" });
  const known = admin ? answers(host, admin, { 13: "out", 18: "out" }) : "none";
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
    if (admin) said.user = db.runCommand({ usersInfo: "{admin}" }).users.length > 0;
    if (admin) said.features = features(db);
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

_EXCHANGE = """\
const given = secret("password").replace(/\\n+$/, "");
primary().runCommand({ updateUser: "{admin}", pwd: given, writeConcern: { w: "majority", wtimeout: 60000 } });
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


_LOOK_ROUTERS = """\
const shards = {shards};
const said = { routers: [], shards: [], others: [], user: false, features: "" };
for (const host of hosts) {
  let listed;
  try {
    listed = at(host, system, "local").runCommand({ listShards: 1 }).shards;
  } catch (error) {
    said.routers.push(error.code === 18 ? "foreign" : "silent");
    continue;
  }
  const stranger = answers(host, "", { 13: "out" });
  const known = answers(host, admin, { 13: "out", 18: "out" });
  said.shards = [];
  said.others = [];
  for (const one of listed) {
    const index = shards.indexOf(one._id);
    const drains = one.draining ? 1 : 0;
    if (index >= 0) said.shards.push([index, drains]);
    else if (said.others.length < 3) said.others.push([one._id, drains]);
  }
  said.routers.push(stranger + " " + known + " " + (shards.length - said.shards.length));
  said.user = at(host, system, "local").runCommand({ usersInfo: "{admin}" }).users.length > 0;
  said.features = features(at(host, system, "local"));
}
print(JSON.stringify(said));
"""

_ADD_SHARD = """\
primary().runCommand({ addShard: {address}, name: {name} });
"""

# The balancer takes the chunks of a shard that goes; its databases move once these are gone, each to the same shard however often that is
# asked. What somebody has placed on it by moveCollection stays theirs to move: then this fails, with the names.
_REMOVE_SHARD = """\
const leaving = {leaving};
const staying = {staying};
const db = primary();
function asked() {
  try {
    const answer = db.runCommand({ removeShard: leaving });
    return answer;
  } catch (error) {
    if (error.code !== 70) throw error;
    return { state: "completed" };
  }
}
let said = asked();
for (let tries = 0; tries < 2 && said.state !== "completed"; tries += 1) {
  said = asked();
  if (said.state === "completed" || !said.remaining || Number(said.remaining.chunks) > 0) continue;
  for (const name of said.dbsToMove || []) {
    let sum = 0;
    for (const character of name) sum += character.charCodeAt(0);
    db.runCommand({ movePrimary: name, to: staying[sum % staying.length] });
  }
}
if (said.state !== "completed") said = asked();
if (said.state !== "completed") {
  const left = [];
  for (const what of Object.keys(said.remaining || {})) left.push(what + ": " + said.remaining[what]);
  throw new Error(leaving + " is drained still (" + left.concat(said.collectionsToMove || []).join(", ") + ")");
}
"""


def look(hosts: Sequence[str], secrets: str, *, users: bool = True) -> str:
    """Asks every member how it is, whether it keeps strangers out, and, where there are *users*, whether it knows the admin."""
    return _bash(hosts, secrets, (_ADMIN if users else 'const admin = "";\n') + _ANSWERS + _FEATURES + _LOOK, answers=True)


def look_routers(hosts: Sequence[str], secrets: str, shards: Sequence[str]) -> str:
    """Asks every router whether it keeps strangers out, whether it knows the admin, and which shards there are beside *shards*."""
    script = _ADMIN + _ANSWERS + _FEATURES + _LOOK_ROUTERS.replace("{shards}", json.dumps(list(shards)))
    return _bash(hosts, secrets, script, answers=True)


def add_shard(hosts: Sequence[str], secrets: str, name: str, address: str) -> str:
    """Has a router take the set at *address* in as shard *name*; of no effect where it is one."""
    return _bash(hosts, secrets, _PRIMARY + _filled(_ADD_SHARD, name=name, address=address))


def remove_shard(hosts: Sequence[str], secrets: str, name: str, staying: Sequence[str]) -> str:
    """Has a router drain shard *name*, and move to *staying* what only moves if asked to; fails, with what is left, until nothing is."""
    return _bash(hosts, secrets, _PRIMARY + _filled(_REMOVE_SHARD, leaving=name, staying=list(staying)))


def set_features(hosts: Sequence[str], secrets: str, version: str) -> str:
    """Has a set, or through a router a cluster, write what *version* and later ones alone can read."""
    return _bash(hosts, secrets, _PRIMARY + _filled(_SET_FEATURES, version=version))


def _filled(script: str, **values: Any) -> str:
    for name, value in values.items():
        script = script.replace(f"{{{name}}}", json.dumps(value))
    return script


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
    """Makes the admin, of a set or through a router, which is primary to its clients; of no effect where there is one."""
    return _bash(hosts, secrets, _PRIMARY + _USER)


def password(hosts: Sequence[str], secrets: str) -> str:
    """Gives the admin another password, in a set or through a router; of no effect where he has it."""
    return _bash(hosts, secrets, _PRIMARY + _EXCHANGE)


def _bash(hosts: Sequence[str], secrets: str, script: str, *, answers: bool = False) -> str:
    opening = _OPENING.format(hosts=json.dumps(list(hosts)), secrets=secrets)
    run = f"mongosh --quiet --norc --nodb --eval {shlex.quote(opening + script.replace('{admin}', ADMIN))}"
    return f'said=$({run}) || {{ echo "$said"; exit 1; }}\nsay "$said"\n' if answers else f"{run}\n"
