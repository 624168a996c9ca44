"""ZooKeeper with a password: who is let in, as its look finds it out, and what its members are told of themselves and of the admin."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from reconciler.model.initialise import Generated
from reconciler.model.service import Service
from reconciler.resources import login, workload
from stacks import zookeeper
from tests.unit.test_java_secrets import read_word
from tests.unit.test_stacks import ENVIRONMENT, TYPES, changed, example, refused, template

# What of zkCli.sh matters: whom it lets in, and its words where it does not.
CLI = """\
#!/bin/sh
[ -z "$JVMFLAGS" ] || { echo "JVMFLAGS name the server's own file" >&2; exit 1; }
refuse() { echo 'KeeperErrorCode = Session closed because client failed to authenticate for /' >&2; exit 1; }
case "$MODE,${CLIENT_JVMFLAGS:+login}" in
    open,* | closed,login) echo '[zookeeper]' ;;
    silent,*) echo 'KeeperErrorCode = ConnectionLoss for /' >&2; exit 1 ;;
    *) refuse ;;
esac
"""


def service(**options: object) -> Service:
    return changed(example("zookeeper"), options=options)


@pytest.mark.parametrize(("mode", "lacks"), [("open", "refuses strangers"), ("closed", ""), ("wrong", "takes the"), ("silent", "answers")])
def test_a_look_tells_who_gets_in(tmp_path: Path, mode: str, lacks: str) -> None:
    wanted = zookeeper.initialise(service(auth=True), ENVIRONMENT)
    assert wanted
    assert wanted.closed
    (tmp_path / "zkCli.sh").write_text(CLI)
    (tmp_path / "zkCli.sh").chmod(0o755)
    (tmp_path / "password").write_text("sesame")
    script = wanted.look.text.replace(workload.SECRETS_PATH, str(tmp_path))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MODE": mode, "JVMFLAGS": "-Xmx1g", "TMPDIR": str(tmp_path)}
    answer = f"say() {{ printf '%s' \"$1\" > {tmp_path}/said; }}\n"
    subprocess.run(["bash", "-c", f"{answer}{script}"], env=environment, check=True, timeout=60)
    said = json.loads((tmp_path / "said").read_text())
    assert said == {f"coordination-{n}": mode for n in range(3)}
    assert lacks in str(wanted.next(said))
    assert (wanted.next(said) is None) == (mode == "closed")


def test_members_know_the_admins_password_and_their_own_and_nobody_else_can_read_them(tmp_path: Path) -> None:
    (container,) = (one for one in template(service(auth=True))["spec"]["initContainers"] if one["name"] == "authentication")
    *shell, script = container["command"]
    (tmp_path / "password").write_text('se"s\\ame${HOME}')
    (tmp_path / "internal").write_text("inner")
    for place in (workload.SECRETS_PATH, workload.OWN_PATH):
        script = script.replace(place, str(tmp_path))
    subprocess.run([*shell, script.replace("id zookeeper", "false")], check=True)
    file = tmp_path / "jaas.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    sections = {line.split(" ")[0]: line for line in file.read_text().splitlines()}
    assert {name: read_word(line.split('"')[-2]) for name, line in sections.items()} == {
        "Server": 'se"s\\ame${HOME}',
        "QuorumServer": "inner",
        "QuorumLearner": "inner",
    }


def test_both_passwords_are_made_unless_the_admins_is_given() -> None:
    made = TYPES["zookeeper"].secrets
    assert made(service(auth=True), ENVIRONMENT) == (
        Generated("coordination-internal", {"password": 32}),
        Generated("coordination-auth", {"password": 32}),
    )
    given = service(auth=True, password={"name": "given", "key": "word"})
    assert made(given, ENVIRONMENT) == (Generated("coordination-internal", {"password": 32}),)
    assert login.mounted(given)["password"].model_dump() == {"name": "given", "key": "word"}


def test_without_a_password_nothing_of_it_is_there() -> None:
    plain = service()
    assert (login.mounted(plain), login.begun(plain), TYPES["zookeeper"].secrets(plain, ENVIRONMENT)) == ({}, {}, ())
    assert zookeeper.initialise(plain, ENVIRONMENT) is None
    assert not {"auth", "java.security", "jaas"} & set(str(template(plain)).replace("/", " ").replace("'", " ").split())


@pytest.mark.parametrize("type_", ["zookeeper", "kafka", "redis"])
def test_a_password_that_nobody_is_asked_for_is_refused(type_: str) -> None:
    assert "options.password" in refused(type_, options={"password": {"name": "given", "key": "word"}})
