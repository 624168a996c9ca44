"""How CouchDB's members become one cluster, and let go of one another: what they are asked, and what follows from their answers.

What is used of the API is documented, but for one field: `decom` in a document of `_nodes`, by which a node is given no more copies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.model.initialise import LOOK, Initialisation, Next, Said, Script

SYSTEM = ("_users", "_replicator", "_global_changes")
_WITHIN = 300  # seconds for a look: who is silent costs five of them
_WITHIN_EVERY = 600  # the same where each database is asked for
_LACKS = {"silent": "answers", "wrong": "takes the password", "open": "refuses who has no password"}

# What a member says of itself. The password is in a header, which curl reads from its standard input: no command line has it.
_ASK = """\
admin=$(printf 'admin:%s' "$(<PASSWORD)" | base64 -w0)
ask() {
  local all
  all=$(curl -s --max-time 5 -K - -w '\\n%{http_code}' -X "$1" ${4:+-H 'Content-Type: application/json' -d "$4"} "http://$2:PORT$3" \\
    <<<"header = \\"Authorization: Basic $admin\\"")
  status=${all##*$'\\n'} said=${all%$'\\n'*}
  said=${said//[[:space:]]/}
}
found() { [[ $said =~ $1 ]] && printf '%s' "${BASH_REMATCH[1]}"; }
field() { found "\\"$1\\":\\"([^\\"]*)\\""; }
list() { found "\\"$1\\":\\[([^]]*)\\]"; }
node() { printf '/_node/_local/_nodes/couchdb@%s' "$1"; }
expect() { [[ $status =~ ^($1)$ ]] || { echo "$host answers $status: $said" >&2; exit 1; }; }
"""
_LOOK = """\
of() {
  local host=$1 access n database cluster all unknown= unlinked= others= zone data=true lacks= finished=false
  ask GET "$host" /_cluster_setup
  [[ $said == *'"cluster_finished"'* || $said == *'"single_node_enabled"'* ]] && finished=true
  case $status in 200) access=closed ;; 401 | 403) access=wrong ;; *) access=silent ;; esac
  [[ $access == closed ]] || { printf '{"access":"%s"}' "$access"; return; }
  case $(curl -s -o /dev/null --max-time 5 -w '%{http_code}' "http://$host:PORT/_all_dbs") in
    401 | 403) ;; 200) access=open ;; *) access=silent ;;
  esac
  ask GET "$host" /_membership
  [[ $status == 200 ]] || access=silent
  cluster=$(list cluster_nodes) all=$(list all_nodes)
  for n in "${!hosts[@]}"; do
    if [[ $cluster != *"\\"couchdb@${hosts[n]}\\""* ]]; then unknown+=",$n"
    elif [[ $all != *"\\"couchdb@${hosts[n]}\\""* ]]; then unlinked+=",$n"; fi
  done
  for n in ${cluster//[\\",]/ }; do [[ " ${hosts[*]} " == *" ${n#couchdb@} "* ]] || others="\\"$n\\""; done
  ask GET "$host" "$(node "$host")"
  zone=$(field zone)
  [[ $said != *'"decom"'* ]] || zone=
  ask GET "$host" '/_all_dbs?limit=1'
  [[ $status == 200 ]] || access=silent
  [[ $said != '[]' ]] || data=false
  for database in SYSTEM; do
    ask GET "$host" "/$database"
    case $status in 200) ;; 404) lacks+=",\\"$database\\"" ;; *) access=silent ;; esac
  done
  printf '{"access":"%s","unknown":[%s],"unlinked":[%s],"others":[%s],"zone":"%s","data":%s,"lacks":[%s],"finished":%s}' \\
    "$access" "${unknown#,}" "${unlinked#,}" "$others" "$zone" "$data" "${lacks#,}" "$finished"
}
all=
for n in "${!hosts[@]}"; do all+=",\\"$n\\":$(of "${hosts[n]}")"; done
say "{${all#,}}"
"""
_JOIN = """\
for new in "${hosts[@]}"; do
  ask PUT "$host" "$(node "$new")" '{}'
  expect '201|202|409'
done
"""
_ZONES = """\
for n in "${!hosts[@]}"; do
  host=${hosts[n]}
  ask GET "$host" "$(node "$host")"
  expect 200
  ask PUT "$host" "$(node "$host")" "{\\"_rev\\":\\"$(field _rev)\\",\\"zone\\":\\"${zones[n]}\\"}"
  expect '201|202|409'
done
"""
_CREATE = """\
for database in "${databases[@]}"; do
  ask PUT "$host" "/$database"
  expect '201|202|412'
done
"""

# Which databases those who leave still hold copies of: the names of the first, and how many there are. Names have no quotes and no commas.
_HELD = """\
held() {
  local database one names
  ask GET "$host" /_all_dbs
  expect 200
  names=${said//[]\\"[]/}
  count=0 some=
  for database in ${names//,/ }; do
    one=${database//\\//%2F}
    ask GET "$host" "/${one//+/%2B}/_shards"
    expect '200|404'
    for one in "${hosts[@]}"; do
      [[ $said == *"\\"couchdb@$one\\""* ]] || continue
      ((++count > 3)) || some+="${some:+, }$database"
      break
    done
  done
}
"""
_LEAVING = """\
known= unmarked= start=$host
for n in "${!hosts[@]}"; do
  for host in "${staying[@]}"; do
    ask GET "$host" /_membership
    expect 200
    [[ $(list cluster_nodes) != *"\\"couchdb@${hosts[n]}\\""* ]] || { known+=",$n"; break; }
  done
  host=$start
  ask GET "$host" "$(node "${hosts[n]}")"
  expect '200|404'
  [[ $status == 404 || $said == *'"decom":true'* ]] || unmarked+=",$n"
done
held
say "{\\"known\\":[${known#,}],\\"unmarked\\":[${unmarked#,}],\\"held\\":$count,\\"some\\":\\"$some\\"}"
"""
_MARK = """\
for one in "${hosts[@]}"; do
  ask GET "$host" "$(node "$one")"
  expect '200|404'
  [[ $status == 200 ]] || continue
  ask PUT "$host" "$(node "$one")" "{\\"_rev\\":\\"$(field _rev)\\",\\"zone\\":\\"$(field zone)\\",\\"decom\\":true}"
  expect '201|202|409'
done
"""
_REMOVE = """\
held
((count == 0)) || { echo "who leaves holds copies again, of $some" >&2; exit 1; }
for one in "${hosts[@]}"; do
  ask GET "$host" "$(node "$one")"
  expect '200|404'
  [[ $status == 200 ]] || continue
  ask DELETE "$host" "$(node "$one")?rev=$(field _rev)"
  expect '200|202|404|409'
done
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The members by name: where each is found, and in which zone. *password* is the file of the administrator's."""

    hosts: Mapping[str, str]
    zones: Mapping[str, str]
    port: int
    password: str

    def initialisation(self) -> Initialisation:
        """Members join whoever has the cluster; each is told its zone; then the databases that CouchDB itself needs are made."""
        look = self._script(LOOK, _LOOK, _WITHIN, hosts=self.hosts.values())
        names = list(self.hosts)
        return Initialisation(look, lambda said: self._next({name: said.get(str(n), {}) for n, name in enumerate(names)}), closed=True)

    def _next(self, said: Mapping[str, Said]) -> Next:
        for name, one in said.items():
            if lack := _LACKS.get(one.get("access", "silent")):
                return f"{name} {lack}"
            if one["others"]:
                return f"{name} knows nobody who is no member (now: {', '.join(one['others'])})"
        return self._membership(said) or self._told_zones(said) or self._databases(said)

    def _membership(self, said: Mapping[str, Said]) -> Next:
        base, names = self._base(said), list(self.hosts)
        if new := [names[n] for n in said[base]["unknown"]]:
            strange = [name for name in new if names.index(base) in said[name]["unknown"]]  # others were taken out, and stay after all
            if late := [name for name in strange if said[name]["data"]]:
                return f"{late[0]} has no databases: it was written to before it joined {base}, and would bring them along"
            hosts = [self.hosts[name] for name in new]
            return self._script(f"have {', '.join(new)} join {base}", _JOIN, at=self.hosts[base], hosts=hosts)
        for name, one in said.items():
            if away := [names[n] for n in (*one["unknown"], *one["unlinked"])]:
                return f"{name} is linked with {', '.join(away)}"
        return None

    def _base(self, said: Mapping[str, Said]) -> str:
        """Whom the others join: who has databases, is known by the most (who was taken out may not have heard of it), and is the first."""
        strangers = Counter(n for one in said.values() for n in one["unknown"])
        return min(enumerate(self.hosts), key=lambda one: (not said[one[1]]["data"], strangers[one[0]]))[1]

    def _told_zones(self, said: Mapping[str, Said]) -> Next:
        names = [name for name, one in said.items() if one["zone"] != self.zones[name]]
        if not names:
            return None
        hosts, zones = [self.hosts[name] for name in names], [self.zones[name] for name in names]
        return self._script("tell members their zones", _ZONES, hosts=hosts, zones=zones)

    def _databases(self, said: Mapping[str, Said]) -> Next:
        for name in SYSTEM:
            late = [one for one, found in said.items() if name in found["lacks"]]
            if late and len(late) < len(said):
                return f"{late[0]} has {name}, as others have"
        if missing := [name for name in SYSTEM if any(name in one["lacks"] for one in said.values())]:
            return self._script(f"make {', '.join(missing)}", _CREATE, at=next(iter(self.hosts.values())), databases=missing)
        return next((f"{name} says that its cluster is finished" for name, one in said.items() if not one["finished"]), None)

    def drain(self, leaving: Mapping[str, str]) -> Initialisation:
        """Who leaves is given no more copies, and goes once it holds none: moving them is for a person, CouchDB has no call for it."""
        staying = list(self.hosts.values())
        names, hosts, at = list(leaving), list(leaving.values()), staying[0]
        look = self._script(LOOK, f"{_HELD}{_LEAVING}", _WITHIN_EVERY, at=at, hosts=hosts, staying=staying)

        def decide(said: Said) -> Next:
            if not said["known"]:
                return None
            if said["unmarked"]:
                return self._script(f"give {', '.join(names)} no more copies", _MARK, at=at, hosts=hosts)
            if said["held"]:
                more = " and more" if said["held"] > len(said["some"].split(", ")) else ""
                where = f"{said['held']} databases: {said['some']}{more}"
                return f"they hold no copies (now of {where}), which CouchDB moves only by hand: docs/how-to/use-couchdb.md"
            return self._script(f"take out {', '.join(names)}", f"{_HELD}{_REMOVE}", _WITHIN_EVERY, at=at, hosts=hosts)

        return Initialisation(look, decide)

    def _script(self, does: str, text: str, deadline: int = 120, at: str = "", **lists: Iterable[str]) -> Script:
        """*text* with what all share; *lists* are arrays of the shell, of words that need no quotes, *at* is the member that is asked."""
        words = "".join(f"{name}=({_words(list(items))})\n" for name, items in lists.items())
        filled = f"{_ASK}{words}host={at}\n{text}".replace("PASSWORD", self.password).replace("PORT", str(self.port))
        return Script(does, filled.replace("in SYSTEM;", f"in {_words(SYSTEM)};"), deadline)


def _words(items: Sequence[str]) -> str:
    return " ".join(items)
