"""How members of a Redis service change their password and keep talking: first all take both, then each restarts with the new one alone.

A default user may have several passwords. Those that a server is given while it runs are forgotten when it starts anew; so it is asked
again whenever a member's Pod or container is another one.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.initialise import LOOK, Initialisation, Next, Said, Script

_READY, _LATE, _SILENT = "ready", "late", "silent"


def before(names: Mapping[str, str], port: int, secrets: str) -> Initialisation:
    """What goes on while members have the former password: *names* with their hosts; *secrets* is where both lie."""
    asked = "".join(f"look {name} {host}\n" for name, host in names.items())
    told = "".join(f"give {host}\n" for host in names.values()) + "".join(f"show {host}\n" for host in names.values())
    return Initialisation(
        Script(LOOK, f'{_known(port, secrets)}{_LOOK}{asked}say "{{$members}}"\n'),
        lambda said: _next(
            said, Script("give the members the new password beside the former one", f"{_known(port, secrets)}{_STEP}{told}")
        ),
    )


def _next(said: Said, step: Script) -> Next:
    """Who is silent is passed over: it takes whatever it has when it starts, and nobody waits for it but itself."""
    return step if _LATE in said.values() else None


def _known(port: int, secrets: str) -> str:
    """Passwords come by variables and by standard input: none is on a command line."""
    return f"""\
new=$(<{secrets}/password) former=
if [[ -s {secrets}/former ]]; then former=$(<{secrets}/former); fi
ask() {{ REDISCLI_AUTH=$1 timeout 5 redis-cli --no-auth-warning -h "$2" -p {port} 2>&1; }}
enters() {{ [[ -n $1 && $(ask "$1" "$2" <<<ping) == PONG ]]; }}
"""


_LOOK = f"""\
members=
look() {{
  how={_SILENT}
  if enters "$new" "$2"; then
    how={_LATE}
    if [[ $(ask "$new" "$2" <<<'config get masterauth' | tail -n 1) == "$new" ]]; then how={_READY}; fi
  elif enters "$former" "$2"; then
    how={_LATE}
  fi
  members+="${{members:+, }}\\"$1\\": \\"$how\\""
}}
"""


# All take the new password, and only who follows one that does shows it: who shows one that is refused loses its link.
_STEP = """\
give() {
  if ! enters "$new" "$1" && enters "$former" "$1"; then ask "$former" "$1" <<<"acl setuser default >$new"; fi
}
show() {
  local followed
  enters "$new" "$1" || return 0
  followed=$(ask "$new" "$1" <<<'info replication' | tr -d '\\r' | sed -n 's/^master_host://p')
  if [[ -z $followed ]] || enters "$new" "$followed"; then ask "$new" "$1" <<<"config set masterauth $new"; fi
}
"""
