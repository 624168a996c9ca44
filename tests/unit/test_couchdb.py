"""CouchDB: what is rendered, what is refused, its secrets, and what follows from what members say."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.initialise import Next, Script
from reconciler.resources import workload
from runner import couchdb as secret_files
from stacks import couchdb
from tests.unit.test_stacks import ENVIRONMENT, changed, example, rendered

SERVICE = example("couchdb")
NAMES = ["docs-0", "docs-1", "docs-2"]


# --- what is rendered


def fields(address: str, **told: Any) -> dict[str, Any]:
    found: Any = rendered(changed(SERVICE, **told))[f"kubernetes/lab/docs/{address}"].fields
    return dict(found)


def files(**told: Any) -> dict[str, str]:
    found: dict[str, str] = fields("ConfigMap/default/docs-config", **told)["data"]
    return found


def pod(**told: Any) -> dict[str, Any]:
    found: dict[str, Any] = fields("StatefulSet/default/docs", **told)["spec"]["template"]
    return found


def line(name: str, **told: Any) -> str:
    return next((one.partition(" = ")[2] for one in files(**told)["couchdb.ini"].splitlines() if one.startswith(f"{name} = ")), "")


def test_nobody_gets_in_without_a_password_from_the_first_start() -> None:
    assert (line("require_valid_user"), line("require_valid_user_except_for_up")) == ("true", "true")
    assert line("single_node") == "false"


def test_options_reach_couchdb_as_what_they_are() -> None:
    told = {"options": {"q": 8, "maxDocumentSize": "64Mi", "cors": {"origins": ["http://a:1", "https://b"]}}}
    assert [line(name, **told) for name in ("q", "max_document_size", "origins", "credentials")] == [
        "8",
        "67108864",
        "http://a:1, https://b",
        "false",
    ]
    assert line("enable_cors", options={}) == "false"


@pytest.mark.parametrize(
    ("told", "placement"),
    [
        ({}, "us-east-1a:1,us-east-1b:1,us-east-1c:1"),
        ({"replicas": 7}, "us-east-1a:1,us-east-1b:1,us-east-1c:1"),
        ({"zones": ["us-east-1a", "us-east-1b"]}, "us-east-1a:2,us-east-1b:1"),
        ({"replicas": 7, "options": {"n": 5}}, "us-east-1a:2,us-east-1b:2,us-east-1c:1"),
        ({"replicas": 3, "pinned": {"docs-1": "us-east-1a"}}, "us-east-1a:2,us-east-1c:1"),
        ({"zones": ["us-east-1a"]}, ""),
        ({"replicas": 6, "options": {"n": 1}}, ""),
    ],
)
def test_copies_lie_in_as_many_zones_as_there_are(told: dict[str, Any], placement: str) -> None:
    assert line("placement", **told) == placement


def test_more_members_restart_nobody_and_another_option_restarts_all() -> None:
    assert pod(replicas=13) == pod()
    assert pod(options={"q": 4}) != pod()


@pytest.mark.parametrize(("told", "spare"), [({}, 1), ({"replicas": 7, "options": {"n": 7}}, 2), ({"replicas": 13}, 1)])
def test_a_drain_of_nodes_leaves_a_majority_of_each_shards_copies(told: dict[str, Any], spare: int) -> None:
    assert fields("PodDisruptionBudget/default/docs", **told)["spec"]["maxUnavailable"] == spare


def test_the_number_of_copies_is_for_ever_and_depends_on_the_first_members() -> None:
    def kept(**told: Any) -> list[str]:
        found = fields("StatefulSet/default/docs", **told)["metadata"]["annotations"]
        return [value for name, value in found.items() if name.endswith("/n")]

    assert [kept(replicas=count, options={}) for count in (1, 3, 7)] == [["1"], ["3"], ["3"]]


def test_the_probe_asks_whether_the_member_works_and_needs_no_password() -> None:
    asked = pod()["spec"]["containers"][0]["readinessProbe"]["exec"]["command"][-1]
    assert asked.endswith('"http://$FQDN:5984/_up"')


@pytest.mark.parametrize(("addresses", "listen"), [("none", "0.0.0.0"), ("private", "localhost")])
def test_a_member_listens_at_its_own_address_and_erlang_at_one_port(tmp_path: Path, addresses: str, listen: str) -> None:
    """The start script for real; `tini` in place of the image's says what it was to start."""
    container = pod(addresses=addresses)["spec"]["containers"][0]
    told = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    assert told["LISTEN"] == ("0.0.0.0" if addresses == "none" else "$(FQDN)")
    local = tmp_path / "couchdb/etc/local.d"
    local.mkdir(parents=True)
    tini = tmp_path / "tini"
    tini.write_text('#!/bin/sh\necho "$ERL_FLAGS" "$@"\n')
    tini.chmod(0o755)
    script = files()["start.sh"].replace("/opt/couchdb", f"{tmp_path}/couchdb")
    for _ in range(2):  # a container may start again
        known = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LISTEN": listen}
        said = subprocess.run(["bash", "-c", script], env=known, capture_output=True, text=True, check=True).stdout
    address = {"none": "0.0.0.0", "private": "127.0.0.1"}[addresses]
    flags = f"-start_epmd false -erl_epmd_port 9100 -kernel inet_dist_use_interface {{{address.replace('.', ',')}}}"
    assert said == f"{flags} -- /docker-entrypoint.sh {tmp_path}/couchdb/bin/couchdb\n"
    assert (local / "30-address.ini").read_text() == f"[chttpd]\nbind_address = {address}\n"
    links = {one.name: str(one.readlink()) for one in local.iterdir() if one.is_symlink()}
    assert links == {"10-service.ini": f"{workload.CONFIG_PATH}/couchdb.ini", "20-secret.ini": f"{workload.OWN_PATH}/secret.ini"}
    assert max(one.name for one in local.iterdir()) < "docker.ini"  # where CouchDB writes


# --- secrets


def mounted(**told: Any) -> dict[str, tuple[str, str]]:
    sources = next(one for one in pod(**told)["spec"]["volumes"] if one["name"] == "secrets")["projected"]["sources"]
    return {one["secret"]["items"][0]["path"]: (one["secret"]["name"], one["secret"]["items"][0]["key"]) for one in sources}


def test_what_members_have_in_common_is_made_once_and_admin_may_have_somebody_elses_password() -> None:
    own = {"options": {"password": {"name": "mine", "key": "pass"}}}
    common = {name: ("docs-cluster", name) for name in ("cookie", "uuid", "secret", "salt")}
    assert mounted() == {"password": ("docs-auth", "password"), **common}
    assert mounted(**own) == {"password": ("mine", "pass"), **common}
    assert [one.name for one in couchdb.secrets(SERVICE, ENVIRONMENT)] == ["docs-auth", "docs-cluster"]
    assert [one.name for one in couchdb.secrets(changed(SERVICE, **own), ENVIRONMENT)] == ["docs-cluster"]


def test_no_secret_is_in_the_environment_of_a_container() -> None:
    names = {one["name"] for one in pod()["spec"]["containers"][0]["env"]}
    assert names == {"MEMBER", "POD_IP", "NODE_NAME", "FQDN", "NODENAME", "LISTEN", "HOME"}


@pytest.mark.parametrize("password", ["plain", 'a "b" \\ ; # %', "[admins]\nx = y", "ключ: $(x)", " led and trailed ", "-pbkdf2-x,y,1"])
def test_any_password_reaches_couchdb_hashed_and_alike_on_every_member(tmp_path: Path, password: str) -> None:
    told = {"cookie": "C" * 32, "uuid": "U" * 32, "secret": "S" * 32, "salt": "a1" * 16, "password": f"{password}\n"}
    for name, text in told.items():
        (tmp_path / name).write_text(text)
    for name in ("one", "other", "one"):  # also where a former container has left its files
        (tmp_path / "own" / name).mkdir(parents=True, exist_ok=True)
        secret_files.write(tmp_path, tmp_path / "own" / name)
    one, other = tmp_path / "own/one", tmp_path / "own/other"
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), b"a1" * 16, 600_000).hex()
    assert (one / "secret.ini").read_text().splitlines() == [
        "[couchdb]",
        f"uuid = {told['uuid']}",
        "[chttpd_auth]",
        f"secret = {told['secret']}",
        "[admins]",
        f"admin = -pbkdf2:sha256-{key},{told['salt']},600000",
    ]
    assert (one / "secret.ini").read_bytes() == (other / "secret.ini").read_bytes()
    assert (one / ".erlang.cookie").read_text() == told["cookie"]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in one.iterdir()} == {"secret.ini": "0o400", ".erlang.cookie": "0o400"}


# --- what is refused


def cors(**told: Any) -> dict[str, Any]:
    return {"options": {"cors": told}}


@pytest.mark.parametrize(
    ("told", "path", "words"),
    [
        ({"replicas": 2, "options": {}}, "replicas", "either member stops both"),
        ({"replicas": 21}, "replicas", "20 members at most"),
        ({"options": {"n": 2}}, "options.n", "no more losses than one of 1 would"),
        ({"options": {"n": 5}}, "options.n", "3 members cannot hold 5 copies"),
        ({"volumes": {}}, "volumes", "needs the volume data"),
        ({"volumes": {"data": {"size": "1Gi"}, "log": {"size": "1Gi"}}}, "volumes.log", "has the volume data"),
        (cors(origins=["*"], credentials=True), "options.cors.credentials", "every page of the world"),
        (cors(origins=["https://a\n[admins]"]), "options.cors.origins", "is no origin"),
        (cors(origins=["https://a ; b"]), "options.cors.origins", "is no origin"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place_and_reason(told: dict[str, Any], path: str, words: str) -> None:
    faults = list(couchdb.check(changed(SERVICE, **told), ENVIRONMENT))
    assert [(place, words in what, bool(hint)) for place, what, hint in faults] == [(path, True, True)]


def test_all_origins_may_ask_where_nobody_is_logged_in() -> None:
    assert list(couchdb.check(changed(SERVICE, **cors(origins=["*"])), ENVIRONMENT)) == []


# --- what follows from what members say


def said(**changes: Mapping[str, Any]) -> dict[str, Any]:
    """Three members that are well, but for *changes* by ordinal (m0, m1, m2)."""
    well = {"access": "closed", "unknown": [], "unlinked": [], "others": [], "data": True, "lacks": [], "finished": True}
    return {str(n): {**well, "zone": f"us-east-1{'abc'[n]}", **changes.get(f"m{n}", {})} for n in range(3)}


def following(found: Mapping[str, Any]) -> Next:
    step = couchdb.initialise(SERVICE, ENVIRONMENT).next(found)
    return step.does if isinstance(step, Script) else step


EMPTY = {"data": False, "lacks": ["_users", "_replicator", "_global_changes"], "finished": False, "zone": ""}


@pytest.mark.parametrize(
    ("found", "follows"),
    [
        (said(), None),
        ({}, "docs-0 answers"),
        (said(m2={"access": "wrong"}), "docs-2 takes the password"),
        (said(m0={"unknown": [1]}, m1={"access": "open"}), "docs-1 refuses who has no password"),
        (said(m1={"others": ["couchdb@a"]}), "docs-1 knows nobody who is no member (now: couchdb@a)"),
        (
            said(m0={**EMPTY, "unknown": [1, 2]}, m1={**EMPTY, "unknown": [0, 2]}, m2={**EMPTY, "unknown": [0, 1]}),
            "have docs-1, docs-2 join docs-0",
        ),
        (said(m0={**EMPTY, "unknown": [1, 2]}, m1={"unknown": [2]}, m2={**EMPTY, "unknown": [0, 1]}), "have docs-2 join docs-1"),
        (said(m0={**EMPTY, "unknown": [1, 2]}), "docs-0 is linked with docs-1, docs-2"),
        (said(m0={**EMPTY, "unknown": [1, 2]}, m1={"unknown": [0, 2]}, m2={**EMPTY, "unknown": [0, 1]}), "have docs-0, docs-2 join docs-1"),
        (said(m0={"unknown": [2]}, m1={"unknown": [2]}), "have docs-2 join docs-0"),
        (
            said(m0={"unknown": [2]}, m1={"unknown": [2]}, m2={"unknown": [0, 1]}),
            "docs-2 has no databases: it was written to before it joined docs-0, and would bring them along",
        ),
        (said(m2={"unlinked": [0]}), "docs-2 is linked with docs-0"),
        (said(m1={"zone": "us-east-1a"}), "tell members their zones"),
        (said(m1={"lacks": ["_users"]}), "docs-1 has _users, as others have"),
        (said(**{f"m{n}": {"lacks": ["_users"], "finished": False} for n in range(3)}), "make _users"),
        (said(m2={"finished": False}), "docs-2 says that its cluster is finished"),
    ],
)
def test_what_is_lacking_follows_from_what_members_say(found: Mapping[str, Any], follows: str | None) -> None:
    assert following(found) == follows
