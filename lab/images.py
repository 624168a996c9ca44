"""Which local command stands for an image: the one table of it. Specs and stacks know nothing of the lab.

A row gives what an image's own configuration gives (entrypoint, cmd, environment, working directory) and the scripts that the image
has and the machine has not; they come first on PATH, or lie in *folder*. *files* it has in place of the machine's, such as who its users
are. What a row *needs* is a program of this machine.
"""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab import tool

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ROOT = Path(__file__).resolve().parent.parent
_PYTHON = Path(sys.executable)


@dataclass(frozen=True, slots=True)
class Image:
    """One row. `pattern` is matched against `name:tag`, without registry and digest."""

    pattern: str
    needs: str
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    scripts: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def command(self, spec: Mapping[str, list[str]]) -> list[str]:
        """What a container runs: `command` stands in for the entrypoint, and then the image's cmd does not count; `args` for the cmd."""
        if spec.get("command"):
            return [*spec["command"], *spec.get("args", [])]
        return [*self.entrypoint, *(spec.get("args") or self.cmd)]

    @property
    def key(self) -> str:
        """A folder name for the row."""
        return re.sub(r"[^a-z0-9.-]", "_", self.pattern.rstrip(":*")) or "any"


# The scripts below do what those of the official images do, but for the change of user: in the lab the process stays who it is.
_REDIS_ENTRYPOINT = """#!/bin/sh
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
	set -- redis-server "$@"
fi
exec "$@"
"""

# The image's server is built with protected mode off, Debian's with it on: off unless a file or an option speaks of it.
_REDIS_SERVER = """#!/bin/sh
said() {
	for word in "$@"; do
		case "$word" in --protected-mode*) return 0 ;; esac
		if [ -f "$word" ] && grep -Eqi '^[[:space:]]*protected-mode' "$word"; then return 0; fi
	done
	return 1
}
case "$1" in -v|--version|-h|--help) ;; *) said "$@" || set -- "$@" --protected-mode no ;; esac
exec "$(PATH="${PATH#*:}" command -v redis-server)" "$@"
"""

_ZOOKEEPER_ENTRYPOINT = """#!/bin/bash
set -e
mkdir -p "$ZOO_CONF_DIR" "$ZOO_DATA_DIR" "$ZOO_DATA_LOG_DIR" "$ZOO_LOG_DIR"
if [[ ! -f "$ZOO_CONF_DIR/zoo.cfg" ]]; then
    {
        echo "dataDir=$ZOO_DATA_DIR"
        echo "dataLogDir=$ZOO_DATA_LOG_DIR"
        echo "tickTime=$ZOO_TICK_TIME"
        echo "initLimit=$ZOO_INIT_LIMIT"
        echo "syncLimit=$ZOO_SYNC_LIMIT"
        echo "autopurge.snapRetainCount=$ZOO_AUTOPURGE_SNAPRETAINCOUNT"
        echo "autopurge.purgeInterval=$ZOO_AUTOPURGE_PURGEINTERVAL"
        echo "maxClientCnxns=$ZOO_MAX_CLIENT_CNXNS"
        echo "standaloneEnabled=$ZOO_STANDALONE_ENABLED"
        echo "admin.enableServer=$ZOO_ADMINSERVER_ENABLED"
        for server in ${ZOO_SERVERS:-"server.1=localhost:2888:3888;2181"}; do echo "$server"; done
        if [[ -n $ZOO_4LW_COMMANDS_WHITELIST ]]; then echo "4lw.commands.whitelist=$ZOO_4LW_COMMANDS_WHITELIST"; fi
        for entry in $ZOO_CFG_EXTRA; do echo "$entry"; done
    } >> "$ZOO_CONF_DIR/zoo.cfg"
fi
if [[ ! -f "$ZOO_DATA_DIR/myid" ]]; then
    echo "${ZOO_MY_ID:-1}" > "$ZOO_DATA_DIR/myid"
fi
exec "$@"
"""

# Four members share two cores here: a small heap and the compiler that starts fastest.
_ZOOKEEPER_JAVA = """\
CLASSES="$ZOO_CONF_DIR:/usr/share/java/zookeeper.jar"
LIGHT="-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Djava.net.preferIPv4Stack=true"
LOGGING="-Dzookeeper.log.dir=$ZOO_LOG_DIR -Dzookeeper.root.logger=INFO,CONSOLE"
"""

_ZK_SERVER = f"""#!/bin/bash
# zkServer.sh of the official image, as far as a container needs it: start-foreground and status.
{_ZOOKEEPER_JAVA}
config="${{2:-$ZOO_CONF_DIR/zoo.cfg}}"
case "$1" in
start-foreground)
    exec java $LIGHT -Xmx"${{ZK_SERVER_HEAP:-256}}m" $LOGGING -cp "$CLASSES" $JVMFLAGS $SERVER_JVMFLAGS \\
        org.apache.zookeeper.server.quorum.QuorumPeerMain "$config" ;;
status)
    port=$(sed -n 's/^[[:space:]]*clientPort=//p' "$config")
    if [ -z "$port" ]; then
        port=$(sed -n "s/^[[:space:]]*server\\.$(cat "$ZOO_DATA_DIR/myid")=.*;\\(.*:\\)\\{{0,1\\}}\\([0-9]*\\)$/\\2/p" "$config")
    fi
    address=$(sed -n 's/^[[:space:]]*clientPortAddress=//p' "$config")
    mode=$(java $LIGHT -cp "$CLASSES" org.apache.zookeeper.client.FourLetterWordMain \\
        "${{address:-localhost}}" "${{port:-2181}}" srvr 2>/dev/null | grep Mode)
    if [ -z "$mode" ]; then echo "Error contacting service. It is probably not running."; exit 1; fi
    echo "$mode" ;;
*)
    echo "the lab's zkServer.sh knows start-foreground and status, not '$1'" >&2; exit 2 ;;
esac
"""

_ZK_CLI = f"""#!/bin/bash
{_ZOOKEEPER_JAVA}
exec java $LIGHT -Dzookeeper.root.logger=WARN,CONSOLE -cp "$CLASSES" $CLIENT_JVMFLAGS org.apache.zookeeper.ZooKeeperMain "$@"
"""

_ZOOKEEPER_ENVIRONMENT = {
    "ZOO_CONF_DIR": "/conf",
    "ZOOCFGDIR": "/conf",
    "ZOO_DATA_DIR": "/data",
    "ZOO_DATA_LOG_DIR": "/datalog",
    "ZOO_LOG_DIR": "/logs",
    "ZOO_TICK_TIME": "2000",
    "ZOO_INIT_LIMIT": "5",
    "ZOO_SYNC_LIMIT": "2",
    "ZOO_AUTOPURGE_PURGEINTERVAL": "0",
    "ZOO_AUTOPURGE_SNAPRETAINCOUNT": "3",
    "ZOO_MAX_CLIENT_CNXNS": "60",
    "ZOO_STANDALONE_ENABLED": "true",
    "ZOO_ADMINSERVER_ENABLED": "true",
}

# The same for Kafka; `kafka-java` is what `make setup` leaves among the lab's tools, with the jars on its class path.
_KAFKA_JAVA = f"{tool.folder() or '/usr/local/bin'}/kafka-java"
_KAFKA_LIGHT = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Djava.net.preferIPv4Stack=true"

_KAFKA_SERVER_START = f"""#!/bin/bash
exec '{_KAFKA_JAVA}' {_KAFKA_LIGHT} ${{KAFKA_HEAP_OPTS:--Xmx256m}} $KAFKA_LOG4J_OPTS $KAFKA_OPTS kafka.Kafka "$@"
"""

_KAFKA_STORAGE = f"""#!/bin/bash
exec '{_KAFKA_JAVA}' {_KAFKA_LIGHT} -Xmx128m kafka.tools.StorageTool "$@"
"""

_KAFKA_TOOLS = {
    f"kafka-{name}.sh": f"""#!/bin/bash
exec '{_KAFKA_JAVA}' {_KAFKA_LIGHT} -Xmx128m $KAFKA_LOG4J_OPTS {program} "$@"
"""
    for name, program in {
        "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
        "configs": "kafka.admin.ConfigCommand",
        "features": "org.apache.kafka.tools.FeatureCommand",
        "metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
        "reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
        "topics": "org.apache.kafka.tools.TopicCommand",
    }.items()
}

# MongoDB's server, router and shell are in no registry; what stands in for them says so in its first line.
_MONGO_ENTRYPOINT = """#!/bin/sh
set -e
case "$1" in -*) set -- mongod "$@" ;; esac
exec "$@"
"""
_MONGO_SCRIPTS = {
    name: f'#!/bin/sh\nPYTHONPATH={_ROOT} PYTHONDONTWRITEBYTECODE=1 exec "{_PYTHON}" -m lab.standins.{name} "$@"\n'
    for name in ("mongod", "mongos", "mongosh")
}

# The project's own images, for sessions and members' init containers, and for the reconciler itself: this interpreter, with the
# packages that this file lies beside.
_PROJECT_SCRIPTS = dict.fromkeys(("python", "python3"), f'#!/bin/sh\nexec "{_PYTHON}" "$@"\n')
_RECONCILE = f'#!/bin/sh\nexec "{_PYTHON}" -m reconciler "$@"\n'
_PROJECT_ENVIRONMENT = {
    "PATH": f"{_PYTHON.parent}:{SYSTEM_PATH}",
    "PYTHONPATH": str(_ROOT),
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "HOME": "/home/runner",
    "LANG": "C.UTF-8",
}
_RECONCILER_FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nreconciler:x:65532:65532::/home/runner:/bin/sh\n"
}  # git and the engine ask

# Spilo: PostgreSQL as Debian packages it, and Patroni as the lab has it. Its postgres is user 101 of group 103, whoever that is here.
_SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
_POSTGRES = str(_SERVERS[-1] if _SERVERS else "/usr/lib/postgresql/bin/postgres")
_SPILO_SCRIPTS = {**_PROJECT_SCRIPTS, "patroni": f'#!/bin/sh\nexec "{_PYTHON}" -m patroni "$@"\n'}
_SPILO_FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:103::/home/postgres:/bin/bash\n",
    "/etc/group": "root:x:0:\npostgres:x:103:\n",
}

# MariaDB's image has its server, Galera, mariadb-backup and socat, as Debian packages them; its mysql is user 999.
_MARIADB_FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nmysql:x:999:999::/var/lib/mysql:/bin/sh\n",
    "/etc/group": "root:x:0:\nmysql:x:999:\n",
}


TABLE: tuple[Image, ...] = (
    Image(
        "redis:*",
        needs="redis-server",
        entrypoint=("docker-entrypoint.sh",),
        cmd=("redis-server",),
        workdir="/data",
        scripts={"docker-entrypoint.sh": _REDIS_ENTRYPOINT, "redis-server": _REDIS_SERVER},
    ),
    Image(
        "zookeeper:*",
        needs="java",
        entrypoint=("docker-entrypoint.sh",),
        cmd=("zkServer.sh", "start-foreground"),
        environment=_ZOOKEEPER_ENVIRONMENT,
        workdir="/apache-zookeeper-bin",
        scripts={"docker-entrypoint.sh": _ZOOKEEPER_ENTRYPOINT, "zkServer.sh": _ZK_SERVER, "zkCli.sh": _ZK_CLI},
    ),
    Image(
        "apache/kafka:*",
        needs=_KAFKA_JAVA,
        cmd=("/etc/kafka/docker/run",),
        scripts={"kafka-server-start.sh": _KAFKA_SERVER_START, "kafka-storage.sh": _KAFKA_STORAGE, **_KAFKA_TOOLS},
        folder="/opt/kafka/bin",
    ),
    *(
        Image(
            pattern,
            needs="sh",
            entrypoint=("docker-entrypoint.sh",),
            cmd=("mongod",),
            environment={"MONGO_MAJOR": major},
            scripts={"docker-entrypoint.sh": _MONGO_ENTRYPOINT, **_MONGO_SCRIPTS},
        )
        for pattern, major in (("mongo:7.0*", "7.0"), ("mongo:*", "8.0"))
    ),
    Image("mariadb:*", needs="mariadb-backup", cmd=("mariadbd",), files=_MARIADB_FILES),
    Image(
        "reconciler/runner:*",
        needs="git",
        entrypoint=("python",),
        environment=_PROJECT_ENVIRONMENT,
        workdir="/home/runner",
        scripts=_PROJECT_SCRIPTS,
    ),
    Image(
        "reconciler/reconciler:*",
        needs="git",
        entrypoint=("reconcile",),
        environment=_PROJECT_ENVIRONMENT,
        workdir="/home/runner",
        scripts={**_PROJECT_SCRIPTS, "reconcile": _RECONCILE},
        files=_RECONCILER_FILES,
    ),
    Image(
        "zalando/spilo-*:*",
        needs=_POSTGRES,
        cmd=("/bin/sh", "/launch.sh", "init"),
        environment={"PATH": f"{SYSTEM_PATH}:{Path(_POSTGRES).parent}", "LC_ALL": "C.UTF-8", "PGHOME": "/home/postgres"},
        workdir="/home/postgres",
        scripts=_SPILO_SCRIPTS,
        files=_SPILO_FILES,
    ),
    Image("python:*", needs="sh", cmd=("python3",), environment={"LANG": "C.UTF-8"}, scripts=_PROJECT_SCRIPTS),
    Image("busybox:*", needs="sh", cmd=("sh",)),
    Image("alpine:*", needs="sh", cmd=("/bin/sh",)),
    Image("debian:*", needs="bash", cmd=("bash",)),
)


def find(image: str) -> Image | None:
    """The row for *image*; registry, `library/` and digest do not count, a missing tag is `latest`."""
    name = normal(image)
    return next((row for row in TABLE if fnmatch.fnmatchcase(name, row.pattern)), None)


def normal(image: str) -> str:
    """`docker.io/library/redis:8.0@sha256:…` → `redis:8.0`."""
    name, _, _ = image.partition("@")
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        name = rest
    name = name.removeprefix("library/")
    return name if ":" in name else f"{name}:latest"


def known() -> str:
    """The patterns, for messages."""
    return ", ".join(row.pattern for row in TABLE)


def write_scripts(folder: Path) -> None:
    """Write every row's scripts to *folder*/<row>/bin, and its files to *folder*/<row>/files."""
    for row in TABLE:
        place = folder / row.key / "bin"
        place.mkdir(parents=True, exist_ok=True)
        for name, text in row.scripts.items():
            (place / name).write_text(text)
            (place / name).chmod(0o755)
        for name, text in row.files.items():
            own = folder / row.key / "files" / name.lstrip("/")
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_text(text)
