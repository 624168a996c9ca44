"""Redis Cluster: how members share out the slots, and how separate servers become one cluster, from whatever is half done. Pure.

Member n belongs to shard n mod S, so more replicas leave who is there as it is. Slots are handed out in S ranges of like size, each to
whoever of its shard holds some already, else to the first member; the others follow that one.
https://redis.io/docs/latest/commands/?group=cluster
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model.initialise import LEADER, LOOK, Initialisation, Next, Said, Script

SLOTS = 16384
# Of the first replicas that have all that a primary has one takes its place; where the primary is none (any more), nobody does.
_TAKE_OVER = """\
take_over() {
  local primary=$1 one
  shift
  [[ $(cli "$primary" role | head -n 1) == master ]] || return 0
  for one; do
    cli "$one" info replication | grep -q '^master_link_status:up' || continue
    cli "$one" cluster failover
    for _ in {1..20}; do
      [[ $(cli "$one" role | head -n 1) == master ]] && return 0
      sleep 0.5
    done
  done
}
"""
# What tables of nodes say of a host.
_ENTRIES = """\
entries() { awk -v host="$1" '{ split($2, place, ","); if (place[2] == host) print }'; }
"""
# Who refuses the password is shown the former one.
_EITHER = """\
cli() {
  local said
  said=$(call "$@")
  if [[ $said == *'NOAUTH '* && -s FORMER ]]; then said=$(REDISCLI_AUTH=$(<FORMER) call "$@"); fi
  printf '%s\\n' "$said"
}
"""
_SHORT = 12  # digits of a node's id in an answer: all members' have to fit into 4 KiB


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of *shards*; *members* by name with their FQDNs, in the order of their ordinals. *login* lets redis-cli in.

    *former* is the file of the password before, if any, for those who do not take the other yet.
    """

    members: Mapping[str, str]
    shards: int
    port: int
    login: str = ""
    former: str = ""

    def shard(self, member: str) -> int:
        return list(self.members).index(member) % self.shards

    def of_shard(self, shard: int) -> list[str]:
        return [name for name in self.members if self.shard(name) == shard]

    def slots(self, shard: int) -> tuple[int, int]:
        """The first and the last slot of *shard*."""
        return shard * SLOTS // self.shards, (shard + 1) * SLOTS // self.shards - 1

    @property
    def look(self) -> Script:
        """Has `cluster` say of each member its id, whom it follows, how many it knows, how many slots it holds, and if all is well."""
        asked = "".join(f"ask {name} {fqdn}\n" for name, fqdn in self.members.items())
        text = f"""\
{self._begin}said=
ask() {{
  own=$(cli "$2" cluster nodes | grep myself) || own=
  read -r id _ flags of _ _ _ _ ranges <<<"$own"
  count=0
  for range in $ranges; do
    case $range in [*) ;; *-*) count=$((count + ${{range#*-}} - ${{range%-*}} + 1)) ;; *) count=$((count + 1)) ;; esac
  done
  known=$(cli "$2" cluster nodes | grep -vc -e handshake -e noaddr -e 'fail ')
  state=$(cli "$2" cluster info | sed -n 's/^cluster_state://p')
  case $flags in *slave*) ;; *) of= ;; esac
  said+="${{said:+, }}\\"$1\\": [\\"${{id:0:{_SHORT}}}\\", \\"${{of:0:{_SHORT}}}\\", $known, $count, \\"$state\\"]"
}}
{asked}cluster="{{$said}}"
"""
        return Script(LOOK, text)

    def next(self, said: Said) -> Next:
        """The first thing that is lacking."""
        nodes = {name: Node(*said[name]) for name in self.members if name in said}
        silent = next((name for name in self.members if name not in nodes or not nodes[name].id), None)
        if silent:
            return f"{silent} answers"
        if any(node.known < len(self.members) for node in nodes.values()):
            return self._introduce()
        held = {shard: [name for name in self.of_shard(shard) if nodes[name].slots] for shard in range(self.shards)}
        bare = [shard for shard, holders in held.items() if not holders]
        if bare and sum(node.slots for node in nodes.values()) > SLOTS - sum(last - first + 1 for first, last in map(self.slots, bare)):
            return "the slots are where they were before the number of shards changed: sharing them out anew is not there yet"
        if bare:
            return self._hand_out(bare)
        leaders = {shard: holders[0] for shard, holders in held.items()}
        astray = {name: leaders[self.shard(name)] for name in self.members if name not in leaders.values()}
        astray = {name: leader for name, leader in astray.items() if nodes[name].of != nodes[leader].id}
        if astray:
            return self._follow(astray)
        unwell = next((name for name, node in nodes.items() if node.state != "ok"), None)
        return f"{unwell} finds its cluster well" if unwell else None

    @property
    def leading(self) -> Script:
        """Asks who is a primary and holds slots."""
        asked = "".join(f"ask {name} {fqdn}\n" for name, fqdn in self.members.items())
        text = f"""\
{self._begin}said=
ask() {{
  read -r _ _ flags _ _ _ _ _ ranges <<<"$(cli "$2" cluster nodes | grep myself)"
  [[ $flags == *master* && -n $ranges ]] && said+="${{said:+, }}\\"$1\\""
}}
{asked}say "{{\\"{LEADER}\\": [$said]}}"
"""
        return Script(LOOK, text)

    def hand_over(self, leaders: Collection[str], leaving: Collection[str] = ()) -> Script | None:
        """Has a replica take the place of each of *leaders*, where it has one that is not *leaving* either."""
        others = {name: [one for one in self.of_shard(self.shard(name)) if one not in {*leaders, *leaving}] for name in leaders}
        asked = "".join(
            f"take_over {self.members[name]} {' '.join(self.members[one] for one in found)}\n" for name, found in others.items() if found
        )
        return self._step("have replicas take over", f"{_TAKE_OVER}{asked}") if asked else None

    def _introduce(self) -> Script:
        """Everybody is introduced to the first; they tell one another. To meet somebody known does nothing."""
        first, *others = self.members.values()
        met = "".join(f"meet {fqdn}\n" for fqdn in others)
        text = f"""\
meet() {{ cli {first} cluster meet "$(getent ahostsv4 "$1" | awk '{{print $1; exit}}')" {self.port}; }}
{met}sleep 2
"""
        return self._step("introduce the members to one another", text)

    def _hand_out(self, shards: Sequence[int]) -> Script:
        given = "".join(
            f"cli {self._first(shard)} cluster addslotsrange {first} {last}\n" for shard in shards for first, last in [self.slots(shard)]
        )
        return self._step("hand out the slots", f"{given}sleep 2\n")

    def _first(self, shard: int) -> str:
        return self.members[self.of_shard(shard)[0]]

    def _follow(self, astray: Mapping[str, str]) -> Script:
        told = "".join(f"follow {self.members[name]} {self.members[leader]}\n" for name, leader in astray.items())
        text = f"""\
follow() {{ cli "$1" cluster replicate "$(cli "$2" cluster myid)"; }}
{told}sleep 2
"""
        return self._step("have replicas follow", text)

    def drain(self, leaving: Mapping[str, str]) -> Initialisation:
        """How *leaving*, members no longer, are rid of their slots and forgotten: before that their going would be a failure."""
        asked = "".join(f"ask {name} {fqdn}\n" for name, fqdn in self.members.items())
        counted = "".join(f"count {name} {fqdn}\n" for name, fqdn in leaving.items())
        text = f"""\
{self._begin}{_ENTRIES}silent= said= tables=
ask() {{
  local table=$(cli "$2" cluster nodes)
  if [[ $table == *myself* ]]; then tables+="$table"$'\\n'; else silent+="${{silent:+, }}\\"$1\\""; fi
}}
count() {{
  said+="${{said:+, }}\\"$1\\": [$(entries "$2" <<<"$tables" | wc -l), $(entries "$2" <<<"$tables" | awk '$9 ~ /^[0-9]/' | wc -l)]"
}}
{asked}{counted}say "{{\\"silent\\": [$silent], \\"leaving\\": {{$said}}}}"
"""
        return Initialisation(Script(LOOK, text), lambda said: self._drained(said, leaving))

    def _drained(self, said: Said, leaving: Mapping[str, str]) -> Next:
        """Of each of *leaving* is said how many of those who stay know it, and how many see slots with it."""
        if said["silent"]:
            return f"{said['silent'][0]} answers"
        told = {name: said["leaving"][name] for name in leaving}
        if leaders := [name for name, (_, held) in told.items() if held]:
            whole = replace(self, members={**self.members, **dict(sorted(leaving.items(), key=lambda one: int(one[0].rpartition("-")[2])))})
            return whole.hand_over(leaders, leaving) or f"the slots of {leaders[0]} have a member of their shard to go to, and none stays"
        known = [leaving[name] for name, (knowing, _) in told.items() if knowing]
        return self._forget(known) if known else None

    def _forget(self, leaving: Sequence[str]) -> Script:
        """All who stay, within the minute in which who has forgotten somebody does not hear of them from others."""
        told = "".join(f"forget {fqdn} {' '.join(self.members.values())}\n" for fqdn in leaving)
        text = f"""\
{_ENTRIES}forget() {{
  local host=$1 one id
  shift
  for one; do
    for id in $(cli "$one" cluster nodes | entries "$host" | cut -d ' ' -f 1); do cli "$one" cluster forget "$id"; done
  done
}}
{told}"""
        return self._step("have them forgotten", text)

    @property
    def _begin(self) -> str:
        """What every script begins with: a password, and a redis-cli that nobody waits for."""
        name = "call" if self.former else "cli"
        cli = f'{name}() {{ timeout 5 redis-cli --no-auth-warning -h "$1" -p {self.port} "${{@:2}}" 2>&1 | tr -d \'\\r\'; }}'
        return f"{self.login}{cli}\n{_EITHER.replace('FORMER', self.former) if self.former else ''}"

    def _step(self, does: str, text: str) -> Script:
        return Script(does, f"{self._begin}{text}")


@dataclass(frozen=True, slots=True)
class Node:
    """What one member says of itself: its id, whom it follows, how many nodes it knows, how many slots it holds."""

    id: str
    of: str
    known: int
    slots: int
    state: str


def settings(fqdn: str, node_timeout: int) -> dict[str, Any]:
    """What redis.conf says of a cluster. Clients are led to names, for addresses change."""
    return {
        "cluster-enabled": "yes",
        "cluster-config-file": "nodes.conf",
        "cluster-node-timeout": node_timeout * 1000,
        "cluster-announce-hostname": fqdn,
        "cluster-preferred-endpoint-type": "hostname",
    }
