"""When a Redis member is ready: its script, run against what `redis-cli` would say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler.resources import workload
from tests.unit.test_stacks import changed, example, rendered


def says(folder: Path, info: str, replicas: int = 3, ping: str = "PONG") -> tuple[int, str]:
    """How the script of a service of *replicas* members ends, and what it complains of, where Redis tells *info*."""
    service = changed(example("redis"), replicas=replicas, options={"auth": True})
    files = next(resource.fields["data"] for id, resource in rendered(service).items() if "ConfigMap" in id)
    for name, content in files.items():
        (folder / name).write_text(content)
    cli = folder / "redis-cli"
    knows = '[ "$REDISCLI_AUTH" = "open sesame" ] || exit 9'
    cli.write_text(f"#!/bin/sh\n{knows}\nprintf '%s\\r\\n' {ping} {' '.join(info.split())}\n")
    cli.chmod(0o755)
    (folder / "password").write_text("open sesame")
    script = files["ready.sh"].replace(workload.SECRETS_PATH, str(folder)).replace(workload.CONFIG_PATH, str(folder))
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "FQDN": "kv-0.db.internal"}
    ended = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stderr.strip()


ONLINE = "slave0:ip=a,port=6379,state=online slave1:ip=b,port=6379,state=online"
SYNCING = "slave0:ip=a,port=6379,state=online slave1:ip=b,port=6379,state=wait_bgsave"


@pytest.mark.parametrize(
    ("info", "complaint"),
    [
        ("role:slave master_host:kv-0 master_link_status:up", ""),
        ("role:slave master_host:kv-0 master_link_status:down", "not linked with kv-0"),
        (f"role:master uptime_in_seconds:1 {ONLINE}", ""),
        (f"role:master uptime_in_seconds:1 {SYNCING}", "1 of 2 replicas linked"),
        ("role:master uptime_in_seconds:1", "0 of 2 replicas linked"),
        ("role:master uptime_in_seconds:600", ""),
    ],
)
def test_a_member_is_ready_once_it_is_linked(tmp_path: Path, info: str, complaint: str) -> None:
    assert says(tmp_path, info) == (int(bool(complaint)), complaint)


def test_one_that_loads_is_not_ready(tmp_path: Path) -> None:
    code, complaint = says(tmp_path, "role:master uptime_in_seconds:600", ping="LOADING")
    assert (code, complaint.splitlines()[0]) == (1, "LOADING")


def test_a_service_of_one_waits_for_nobody(tmp_path: Path) -> None:
    assert says(tmp_path, "role:master uptime_in_seconds:1", replicas=1) == (0, "")
