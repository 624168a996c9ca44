"""How one logs in to Kafka: members to each other by PLAIN, clients by SCRAM; what servers and tools are given for it, and who gets in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model.environment import Environment
from reconciler.model.initialise import Next, Said, Script
from reconciler.resources import java, login, workload

SERVER = f"{workload.OWN_PATH}/server.properties"
_SCRAM, _PROTOCOL = "SCRAM-SHA-512", "SASL_PLAINTEXT"
_PLAIN_MODULE, _SCRAM_MODULE = (
    f"org.apache.kafka.common.security.{one} required" for one in ("plain.PlainLoginModule", "scram.ScramLoginModule")
)
_PATIENCE, _EACH = 90, 40  # seconds for a look: for all, and for each member
# `plain` and `scram`: how the members and the admin log in, as a value in Java's properties.
_FUNCTIONS = f"""\
{java.QUOTED}{java.ESCAPED}umask 077
word() {{ escaped "$(quoted "$1")"; }}
plain() {{ printf '{_PLAIN_MODULE} username="{login.MEMBERS}" password="%s"' "$(word {login.INTERNAL})"; }}
scram() {{ printf '{_SCRAM_MODULE} username="{login.ADMIN}" password="%s";' "$(word {login.PASSWORD})"; }}
client() {{ printf '%ssecurity.protocol={_PROTOCOL}\\n%ssasl.mechanism=%s\\n%ssasl.jaas.config=%s\\n' "$1" "$1" "$2" "$1" "$3"; }}
"""
_SERVER = f"""\
{_FUNCTIONS}{{
  cat {workload.CONFIG_PATH}/$MEMBER.properties
  for name in internal controller; do
    echo "listener.name.$name.plain.sasl.jaas.config=$(plain) user_{login.MEMBERS}=\\"$(word {login.INTERNAL})\\";"
  done
}} > {SERVER}
"""
# DescribeCluster, version 1, of controllers: any listener answers it, if only that it is the wrong one, and none before one has logged in.
_STRANGER = """\
stranger() {
  local said
  said=$(timeout 10 bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit 2
    printf "\\0\\0\\0\\016\\0\\074\\0\\001\\0\\0\\0\\0\\377\\377\\0\\0\\002\\0" >&3
    head -c 1 <&3' "$@" 2> /dev/null | od -An -tx1; exit "${PIPESTATUS[0]}")
  case $?,$said in 2,* | 124,* | 143,*) echo silent ;; *,?*) echo open ;; *) echo closed ;; esac
}
enter() {
  local name=$1 host=$2 how
  shift 2
  for port; do how+=" $(stranger "$host" "$port")"; done
  case $how in *silent*) how=silent ;; *open*) how=open ;; *) how=wrong ;; esac
  if [[ $how == wrong ]] && grep -qxF "$host" <<<"$into"; then how=closed; fi
  access+="${access:+, }\\"$name\\": \\"$how\\""
}
"""


def settings() -> dict[str, Any]:
    """What is no secret of a server.properties. SCRAM's credentials lie with the controllers, so who asks these first needs PLAIN.

    https://kafka.apache.org/41/security/authentication-using-sasl/
    """
    return {
        "listener.security.protocol.map": ",".join(f"{name}:{_PROTOCOL}" for name in ("INTERNAL", "CLIENT", "CONTROLLER")),
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.internal.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.client.sasl.enabled.mechanisms": _SCRAM,
        f"listener.name.client.{_SCRAM.lower()}.sasl.jaas.config": f"{_SCRAM_MODULE};",
    }


def server(image: str, environment: Environment) -> dict[str, Any]:
    """Writes SERVER: a member's properties, and by which password members know each other."""
    return workload.own_files("login", image, _SERVER, environment)


def client(image: str, environment: Environment, file: str, prefixes: Sequence[str]) -> dict[str, Any]:
    """Writes *file*: a member's properties, and how what has one of *prefixes* logs in to the cluster as the admin."""
    script = f"""\
{_FUNCTIONS}{{
  cat {workload.CONFIG_PATH}/$MEMBER.properties
  for prefix in {" ".join(f"'{prefix}'" for prefix in prefixes)}; do client "$prefix" {_SCRAM} "$(scram)"; done
}} > {file}
"""
    return workload.own_files("login", image, script, environment)


def greeting() -> str:
    """Lines of bash that log in as a member where descriptor 3 leads: SaslHandshake, version 1, and SaslAuthenticate, version 0.

    Both are sent at once, for a probe has seconds; a handshake that succeeds is answered by 21 bytes, a login by 16.
    """
    token = len(login.MEMBERS) + login.LENGTH + 2
    sizes = f"\\0\\0\\0\\{token + 14:03o}", f"\\0\\0\\0\\{token:03o}"
    handshake = "\\0\\0\\0\\021\\0\\021\\0\\001\\0\\0\\0\\0\\377\\377\\0\\005PLAIN"
    authenticate = f"{sizes[0]}\\0\\044\\0\\0\\0\\0\\0\\0\\377\\377{sizes[1]}\\0{login.MEMBERS}\\0%s"
    return f"""\
printf '{handshake}{authenticate}' "$(<{login.INTERNAL})" >&3
said=$(dd bs=1 count=37 <&3 2>/dev/null | od -An -v -tx1 | tr -d ' \\n')
[ "${{said:42:20}}" = 0000000c000000000000 ] || {{ echo "it refuses the members' password" >&2; exit 1; }}
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """How a Job reaches the cluster *at* some members with Kafka's own tools: as a member, where one has to log in."""

    at: str
    auth: bool = False

    @property
    def begin(self) -> str:
        """Lines that leave in `at` the words which each of the tools takes."""
        if not self.auth:
            return f"at=(--bootstrap-server {self.at})\n"
        return f"""\
{_FUNCTIONS}own=$(mktemp -d)
client '' PLAIN "$(plain);" > "$own/members.properties"
at=(--bootstrap-server {self.at} --command-config "$own/members.properties")
"""


def look(tools: str, clients: str, asked: Mapping[str, str]) -> str:
    """Lines that leave in `access` who gets in: to no port, as a stranger; to all members that tell *clients* of each other, as the admin.

    *asked* has of each member its host and ports, as words.
    """
    return f"""\
{_FUNCTIONS}own=$(mktemp -d) access=
client '' {_SCRAM} "$(scram)" > "$own/admin.properties"
into=$(timeout {_PATIENCE} {tools}/kafka-broker-api-versions.sh --bootstrap-server {clients} --command-config "$own/admin.properties" \\
  2> /dev/null | sed -n 's/^\\([^ :]*\\):.* -> ($/\\1/p')
{_STRANGER}{"".join(f"enter {name} {words}{chr(10)}" for name, words in asked.items())}"""


def patience(asked: Mapping[str, str]) -> int:
    """Seconds for a look at those who are *asked*."""
    return _PATIENCE + _EACH * len(asked)


def lacking(tools: str, entry: Entry, access: Said) -> Next:
    """A password that nobody takes is given to the admin; that all know of it is waited for."""
    if set(access.values()) != {"wrong"}:
        return login.lacking(access)
    text = f"""\
{entry.begin}printf '{_SCRAM}=password=%s\\n' "$(escaped "$(<{login.PASSWORD})")" > "$own/password.properties"
{tools}/kafka-configs.sh "${{at[@]}}" --alter --entity-type users --entity-name {login.ADMIN} --add-config-file "$own/password.properties"
"""
    return Script(f"give the user {login.ADMIN} the password", text)
