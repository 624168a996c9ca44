"""MariaDB as a Galera cluster: what is rendered, what is refused, and what follows from what its members say."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.initialise import Next, Script
from stacks import mariadb
from tests.unit.test_stacks import ENVIRONMENT, changed, example, rendered

SERVICE = example("mariadb")
NAMES = ["orders-0", "orders-1", "orders-2"]
UUID = "532486c2-e6a0-11f1-8491-8e6fd701d987"


# --- what is rendered


def fields(address: str, **told: Any) -> dict[str, Any]:
    found: Any = rendered(changed(SERVICE, **told))[f"kubernetes/lab/orders/{address}"].fields
    return dict(found)


def files(**told: Any) -> dict[str, str]:
    found: dict[str, str] = fields("ConfigMap/default/orders-config", **told)["data"]
    return found


def pod(**told: Any) -> dict[str, Any]:
    found: dict[str, Any] = fields("StatefulSet/default/orders", **told)["spec"]["template"]
    return found


ODD = ["plain", "", "a # b", 'it\'s "q" \\ \\n ; %x', " led and trailed ", "key=value", "[mysqld]", "ключ"]


@pytest.mark.skipif(not shutil.which("my_print_defaults"), reason="needs MariaDB's own reader of option files")
@pytest.mark.parametrize("value", ODD)
def test_a_parameter_reaches_mariadb_as_it_is(tmp_path: Path, value: str) -> None:
    (tmp_path / "my.cnf").write_text(files(options={"parameters": {"init_connect": value}})["my.cnf"])
    read = subprocess.run(
        ["my_print_defaults", f"--defaults-file={tmp_path}/my.cnf", "mysqld"], capture_output=True, text=True, check=True
    ).stdout
    assert f"--init_connect={value}" in read.splitlines()


def test_options_reach_mariadb_and_galera_as_what_they_are() -> None:
    options = {
        "bufferPool": "1Gi",
        "writeSetCache": "256Mi",
        "syncWait": True,
        "appliers": 4,
        "parameters": {"log_bin": False, "sort_buffer_size": 65536},
    }
    told = files(options=options)
    lines = told["my.cnf"].splitlines()
    for line in (
        "innodb_buffer_pool_size=1073741824",
        "wsrep_sync_wait=15",
        "wsrep_slave_threads=4",
        "log_bin=OFF",
        "sort_buffer_size=65536",
    ):
        assert line in lines
    assert "gcache.size=268435456;" in told["provider"]


def test_more_members_restart_nobody_and_another_option_restarts_all() -> None:
    assert pod(replicas=5) == pod()
    assert files(replicas=5)["members"].splitlines()[:3] == files()["members"].splitlines()
    assert pod(options={"bufferPool": "1Gi"}) != pod()


def test_a_member_with_an_address_of_its_own_listens_there_only() -> None:
    said = [{one["name"]: one.get("value") for one in pod(addresses=kind)["spec"]["containers"][0]["env"]} for kind in ("none", "private")]
    assert [one["LISTEN"] for one in said] == ["0.0.0.0", "$(FQDN)"]


def test_a_cluster_needs_its_quorum_during_a_drain() -> None:
    assert fields("PodDisruptionBudget/default/orders", replicas=7)["spec"]["maxUnavailable"] == 2


def test_root_may_have_somebody_elses_password_and_the_members_theirs() -> None:
    sources = pod(options={"password": {"name": "mine", "key": "pass"}})["spec"]["volumes"]
    secrets = next(one for one in sources if one["name"] == "secrets")["projected"]["sources"]
    found = {one["secret"]["items"][0]["path"]: (one["secret"]["name"], one["secret"]["items"][0]["key"]) for one in secrets}
    assert found == {
        "root": ("mine", "pass"),
        "monitor": ("orders-auth", "monitor"),
        "sst": ("orders-auth", "sst"),
        "cluster": ("orders-cluster", "cluster"),
    }


# --- what is refused

SMALL = {"limits": {"memory": "2Gi"}}


def parameters(**told: Any) -> dict[str, Any]:
    return {"options": {"parameters": told}}


@pytest.mark.parametrize(
    ("told", "path", "words"),
    [
        ({"replicas": 2}, "replicas", "no more members than 1 would"),
        ({"replicas": 4}, "replicas", "no more members than 3 would"),
        ({"volumes": {}}, "volumes", "needs the volume data"),
        ({"volumes": {"data": {"size": "1Gi"}, "log": {"size": "1Gi"}}}, "volumes.log", "has the volume data"),
        ({"options": {"bufferPool": "1Gi"}, "resources": {"limits": {"memory": "1Gi"}}}, "options.bufferPool", "three quarters"),
        ({"options": {"bufferPool": "1Mi"}}, "options.bufferPool", "less than 32Mi"),
        ({"options": {"writeSetCache": "1Mi"}}, "options.writeSetCache", "less than 16Mi"),
        ({"options": {"writeSetCache": "60Gi"}}, "options.writeSetCache", "more than half of the volume"),
        (parameters(innodb_buffer_pool_size=1), "options.parameters.innodb_buffer_pool_size", "not for a spec"),
        (parameters(innodb_flush_log_at_trx_commit=2), "options.parameters.innodb_flush_log_at_trx_commit", "not for a spec"),
        (parameters(wsrep_on=False), "options.parameters.wsrep_on", "not for a spec"),
        (parameters(skip_grant_tables=True), "options.parameters.skip_grant_tables", "not for a spec"),
        (parameters(loose_skip_grant=True), "options.parameters.loose_skip_grant", "not for a spec"),
        (parameters(max_connection=5), "options.parameters.max_connection", "not for a spec"),
        (parameters(**{"a\nb": 1}), "options.parameters.a\nb", "no parameter's name"),
        (parameters(init_connect="a\nb"), "options.parameters.init_connect", "cannot be printed"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place_and_reason(told: dict[str, Any], path: str, words: str) -> None:
    faults = list(mariadb.check(changed(SERVICE, **told), ENVIRONMENT))
    assert [(place, words in what, bool(hint)) for place, what, hint in faults] == [(path, True, True)]


def test_what_members_do_not_depend_on_is_for_a_spec_to_set() -> None:
    told = parameters(sql_mode="ANSI", wsrep_retry_autocommit=3, max_allowed_packet="64M", skip_slave_start=True, innodb_log_file_size="1G")
    assert list(mariadb.check(changed(SERVICE, **told), ENVIRONMENT)) == []


# --- what follows from what members say


def said(**changes: Mapping[str, Any]) -> dict[str, Any]:
    """Three members that are well, but for *changes* by ordinal (m0, m1, m2)."""
    well = {"login": "in", "stranger": "refused", "component": "Primary", "state": "Synced", "cluster": UUID, "size": 3}
    of = {name: {**well, **changes.get(f"m{n}", {})} for n, name in enumerate(NAMES)}
    return {"members": of}


def following(found: Mapping[str, Any]) -> Next:
    return mariadb.initialise(SERVICE, ENVIRONMENT).next(found)


def test_members_that_are_well_lack_nothing() -> None:
    assert following(said()) is None


@pytest.mark.parametrize(
    ("found", "lacking"),
    [
        ({"members": {}}, "orders-0 answers"),
        (said(m1={"login": "silent"}), "orders-1 answers"),
        (said(m2={"login": "wrong"}), "orders-2 takes the password"),
        (said(m2={"stranger": "let in"}), "orders-2 refuses who has no password"),
        (said(m2={"stranger": "silent"}), "orders-2 says whom it refuses"),
        (said(m0={"component": "non-Primary"}), "orders-0 is in the primary component (now: non-Primary)"),
        (said(m0={"state": "Joiner"}), "orders-0 has what the others have (now: Joiner)"),
        (said(m1={"size": 1}), "orders-1 sees 3 members (now 1)"),
        (said(m1={"cluster": "another"}), "all members have one cluster's data"),
    ],
)
def test_what_is_lacking_is_waited_for(found: Mapping[str, Any], lacking: str) -> None:
    assert following(found) == lacking


# --- passwords that give way to others

TURNED = changed(SERVICE, rotation=1)
GIVE, RETIRE = "have accounts take the new passwords beside the former ones", "let nobody in by the former passwords"


def does(found: Next) -> str | None:
    return found.does if isinstance(found, Script) else found


@pytest.mark.parametrize(
    ("taken", "found", "step"),
    [
        (["former"] * 3, said(m0={"login": "wrong"}), GIVE),
        (["both", "former", "silent"], said(m2={"login": "silent"}), GIVE),
        (["both"] * 3, said(m1={"state": "Joiner"}), "orders-1 has what the others have (now: Joiner)"),
        (["next", "both", "both"], said(), RETIRE),
        (["next"] * 3, said(), None),
    ],
)
def test_former_passwords_go_once_all_is_well_and_not_before(taken: list[str], found: Mapping[str, Any], step: str | None) -> None:
    told = {**found, "taken": dict(zip(NAMES, taken, strict=True))}
    assert does(mariadb.initialise(TURNED, ENVIRONMENT).next(told)) == step


@pytest.mark.parametrize(
    ("taken", "step"), [(["former", "both", "both"], GIVE), (["both", "silent", "both"], None), (["both", "next", "next"], None)]
)
def test_nobody_restarts_before_the_accounts_take_the_next_passwords(taken: list[str], step: str | None) -> None:
    rotation = mariadb.rotate(TURNED, ENVIRONMENT)
    assert does(rotation.before.next({"taken": dict(zip(NAMES, taken, strict=True))})) == step
    assert rotation.former == ("orders-auth",)


def test_a_password_of_ones_own_and_what_certificates_are_made_of_are_not_exchanged() -> None:
    found = mariadb.rotate(changed(TURNED, options={"password": {"name": "mine", "key": "pass"}}), ENVIRONMENT)
    assert "rotated='monitor sst' " in found.before.look.text
    assert [one.name for one in mariadb.secrets(TURNED, ENVIRONMENT)] == ["orders-auth-1", "orders-cluster"]
