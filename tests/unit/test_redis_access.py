"""Who gets into a Redis member, as its look finds it out: its script, run against what `redis-cli` would say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from reconciler.resources import workload
from stacks import redis
from tests.unit.test_stacks import ENVIRONMENT, changed, example

# Like the real one: a variable that is set, though empty, is a password, and a wrong one is told before the answer.
CLI = """\
#!/bin/sh
case "$MODE,${REDISCLI_AUTH-none}" in
    open,*) echo PONG ;;
    closed,none) echo 'NOAUTH Authentication required.' ;;
    closed,sesame) echo PONG ;;
    silent,*) echo 'Could not connect to Redis'; exit 1 ;;
    *) echo 'AUTH failed: WRONGPASS invalid username-password pair'; echo 'NOAUTH Authentication required.' ;;
esac
"""


@pytest.mark.parametrize("mode", ["open", "closed", "wrong", "silent"])
@pytest.mark.parametrize("shards", [{}, {"shards": 3}])
def test_a_look_tells_who_gets_in(tmp_path: Path, mode: str, shards: dict[str, int]) -> None:
    service = changed(example("redis"), replicas=3, options={"auth": True, **shards})
    wanted = redis.initialise(service, ENVIRONMENT)
    assert wanted
    (tmp_path / "redis-cli").write_text(CLI)
    (tmp_path / "redis-cli").chmod(0o755)
    (tmp_path / "password").write_text("other" if mode == "wrong" else "sesame")
    said = tmp_path / "said"
    script = wanted.look.text.replace(workload.SECRETS_PATH, str(tmp_path))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MODE": "closed" if mode == "wrong" else mode}
    subprocess.run(["bash", "-c", f"say() {{ printf '%s' \"$1\" > {said}; }}\n{script}"], env=environment, check=True, timeout=60)
    assert json.loads(said.read_text())["access"] == {f"{service.name}-{n}": mode for n in range(3)}
