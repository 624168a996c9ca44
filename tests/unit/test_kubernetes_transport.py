"""What the Kubernetes adapter does when the API server is busy, forgets or lies: against a server that does so to order."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from providers.kubernetes import RESTARTS, Kubernetes, kubeconfig
from reconciler import errors
from reconciler.resources import kubernetes

CONFIG = kubernetes.KINDS["ConfigMap"]
BODY = {"metadata": {"name": "a", "namespace": "default"}, "data": {}}
Answer = tuple[int, Any, dict[str, str]]


@dataclass
class Server:
    """Gives *answers* in turn, the last one for ever; *asked* is what it was asked: verb, path and body."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def say(self, status: int, body: Any = None, **headers: str) -> None:
        self.answers.append((status, body if body is not None else {}, {name.replace("_", "-"): text for name, text in headers.items()}))

    def refuse(self, status: int, reason: str = "", **headers: str) -> None:
        self.say(status, {"kind": "Status", "reason": reason, "message": f"{reason} it is", "code": status}, **headers)

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.asked.append((self.command, self.path, body))
            told.headers.append(dict(self.headers))
            status, content, headers = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            if status == 0:
                self.close_connection = True  # hang up without a word
                return
            text = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the server's own names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        told.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        http.shutdown()
        thread.join()


def written(path: Path, url: str, **user: Any) -> str:
    document = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user or {"token": "made-up"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }
    path.write_text(json.dumps(document))
    return str(path)


@pytest.fixture
def cluster(server: Server, tmp_path: Path) -> Iterator[Kubernetes]:
    with closing(Kubernetes(written(tmp_path / "config", server.url), patience=3)) as found:
        yield found


def page(*names: str, onward: str = "") -> dict[str, Any]:
    return {"metadata": {"continue": onward}, "items": [{"metadata": {"name": name, "namespace": "default"}} for name in names]}


def listed(cluster: Kubernetes) -> list[str]:
    return [one["metadata"]["name"] for one in cluster.list(CONFIG, namespace="default", selector="a=b")]


def test_a_list_goes_on_where_the_last_chunk_ended(server: Server, cluster: Kubernetes) -> None:
    server.say(200, page("a", "b", onward="next"))
    server.say(200, page("c"))
    assert listed(cluster) == ["a", "b", "c"]
    chunks = [f"/api/v1/namespaces/default/configmaps?limit=500&labelSelector=a%3Db{more}" for more in ("", "&continue=next")]
    assert server.paths == chunks


def test_a_list_whose_snapshot_expired_begins_anew_and_gives_everything_once(server: Server, cluster: Kubernetes) -> None:
    server.say(200, page("a", "b", onward="next"))
    server.refuse(410, "Expired")
    server.say(200, page("a", "aa", "b", onward="again"))
    server.say(200, page("c"))
    assert listed(cluster) == ["a", "b", "aa", "c"]


def test_a_list_that_expires_for_ever_is_given_up(server: Server, cluster: Kubernetes) -> None:
    for _ in range(RESTARTS + 1):
        server.say(200, page("a", onward="next"))
        server.refuse(410, "Expired")
    with pytest.raises(errors.TransientError, match="expired 6 times"):
        listed(cluster)


def test_a_busy_server_is_asked_again_when_it_says(server: Server, cluster: Kubernetes) -> None:
    server.refuse(429, "TooManyRequests", Retry_After="1")
    server.refuse(503, "ServiceUnavailable")
    server.say(200, {"metadata": {"name": "a"}})
    found = cluster.get(CONFIG, "a", namespace="default")
    assert found == {"metadata": {"name": "a"}}
    assert len(server.asked) == 3


def test_a_server_that_stays_busy_is_transient_with_its_words(server: Server, cluster: Kubernetes) -> None:
    cluster.patience = 0.8
    server.refuse(503, "ServiceUnavailable")
    with pytest.raises(
        errors.TransientError, match="Kubernetes refused to read ConfigMap default/a: ServiceUnavailable: ServiceUn"
    ) as caught:
        cluster.get(CONFIG, "a", namespace="default")
    assert caught.value.status == 503
    assert len(server.asked) > 1


def test_what_may_have_been_created_is_not_created_again(server: Server, cluster: Kubernetes) -> None:
    for status in (503, 0):
        server.asked.clear()
        server.answers.clear()
        server.refuse(status, "ServiceUnavailable")
        with pytest.raises(errors.TransientError):
            cluster.create(CONFIG, BODY)
        assert len(server.asked) == 1


def test_a_creation_that_was_turned_away_is_sent_again(server: Server, cluster: Kubernetes) -> None:
    server.refuse(429, "TooManyRequests")
    server.say(201, BODY)
    assert cluster.create(CONFIG, BODY) == BODY
    assert len(server.asked) == 2


def test_a_quota_conflict_is_not_taken_for_existence(server: Server, cluster: Kubernetes) -> None:
    server.refuse(409, "Conflict")
    with pytest.raises(errors.ProviderError, match="Conflict it is"):
        cluster.create(CONFIG, BODY)


def test_a_deletion_takes_what_the_object_owns(server: Server, cluster: Kubernetes) -> None:
    server.say(200)
    assert cluster.delete(kubernetes.JOB, "a", namespace="default")
    ((verb, path, body),) = server.asked
    assert (verb, path, json.loads(body)) == ("DELETE", "/apis/batch/v1/namespaces/default/jobs/a", {"propagationPolicy": "Background"})


def test_existence_is_asked_without_the_object(server: Server, cluster: Kubernetes) -> None:
    server.say(200)
    assert cluster.exists(kubernetes.KINDS["Secret"], "a", namespace="default")
    assert "PartialObjectMetadata" in server.headers[0]["Accept"]


def test_a_proxys_page_is_no_answer_of_kubernetes(server: Server, cluster: Kubernetes) -> None:
    server.say(403, b"<html>go away</html>")
    with pytest.raises(errors.ProviderError, match=r"Kubernetes refused to read ConfigMap default/a: 403$"):
        cluster.get(CONFIG, "a", namespace="default")


def test_lines_of_a_log_end_at_line_feeds_and_nowhere_else(server: Server, cluster: Kubernetes) -> None:
    server.say(200, "one\x0b still one\ntwo\u2028 still two\n\nno end".encode())
    assert list(cluster.log("default", "kv-0", "redis", tail=9)) == ["one\x0b still one", "two\u2028 still two", "", "no end"]
    assert server.paths == ["/api/v1/namespaces/default/pods/kv-0/log?container=redis&tailLines=9"]


def test_a_log_that_is_not_there_yet_is_refused(server: Server, cluster: Kubernetes) -> None:
    server.refuse(400, "BadRequest")
    with pytest.raises(errors.ProviderError, match="Kubernetes refused to read log of Pod default/kv-0: BadRequest") as caught:
        list(cluster.log("default", "kv-0", "redis"))
    assert caught.value.status == 400


def test_nobody_there_is_transient_and_says_where(tmp_path: Path) -> None:
    with closing(Kubernetes(written(tmp_path / "config", "http://127.0.0.1:1"), patience=0.1)) as nowhere:
        with pytest.raises(errors.TransientError, match=r"http://127.0.0.1:1 could not be reached to read ConfigMap default/a") as caught:
            nowhere.get(CONFIG, "a", namespace="default")
        assert "environment.yaml" in caught.value.hint


def test_a_program_that_makes_tokens_is_run_whichever_version_it_speaks(server: Server, tmp_path: Path) -> None:
    program = tmp_path / "token"
    credential = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-program"}}'
    program.write_text(f"#!/bin/sh\ncase $KUBERNETES_EXEC_INFO in *k8s.io/v1\\\"*) echo '{credential}';; *) exit 1;; esac\n")
    program.chmod(0o755)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "env": None}}
    server.say(200, {"metadata": {}})
    with closing(Kubernetes(written(tmp_path / "config", server.url, **user))) as found:
        found.get(CONFIG, "a", namespace="default")
    assert server.headers[0]["Authorization"] == "Bearer from-program"


def test_a_program_that_is_not_there_is_for_a_person_to_mend(server: Server, tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "/nowhere/token"}}
    refused = pytest.raises(errors.UsageError, match=r"no credentials for .*nowhere")
    with closing(Kubernetes(written(tmp_path / "config", server.url, **user))) as found, refused:
        found.get(CONFIG, "a", namespace="default")


@pytest.mark.parametrize(
    ("text", "context", "told"),
    [
        (None, "", "not found"),
        ("{", "", "no Kubernetes configuration in"),
        ("[]", "", "no Kubernetes configuration in"),
        ("{}", "", "no 'clusters'"),
        ("clusters: []\ncontexts: []", "", "No current context"),
        ("clusters: []\ncontexts: []", "other", "Context 'other' not found"),
    ],
)
def test_a_kubeconfig_that_does_not_serve_is_named(text: str | None, context: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(errors.UsageError, match=told) as caught:
        kubeconfig.load(str(path), context)
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_the_kubeconfig_in_use_is_kubectls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", written(tmp_path / "config", "https://named"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert kubeconfig.load("", "").cluster.server == "https://named"
    monkeypatch.delenv("KUBECONFIG")
    with pytest.raises(errors.UsageError, match="in the Pod's service account"):
        kubeconfig.load("", "")


def test_a_token_that_was_renewed_in_its_file_is_read_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old\n")
    server.refuse(401, "Unauthorized")
    server.say(200, {"metadata": {}})
    with closing(Kubernetes(written(tmp_path / "config", server.url, tokenFile="token"))) as found:
        found._transport._credentials.header()
        (tmp_path / "token").write_text("new\n")
        found.get(CONFIG, "a", namespace="default")
    assert [one["Authorization"] for one in server.headers] == ["Bearer old", "Bearer new"]


def test_a_token_that_stays_refused_is_for_a_person_to_mend(server: Server, cluster: Kubernetes) -> None:
    server.refuse(401, "Unauthorized")
    with pytest.raises(errors.ProviderError, match="Unauthorized") as caught:
        cluster.get(CONFIG, "a", namespace="default")
    assert "signing in failed" in caught.value.hint
    assert len(server.asked) == 1


def test_a_program_is_run_again_once_its_token_has_expired(server: Server, tmp_path: Path) -> None:
    program = tmp_path / "token"
    status = '{"token":"\'$(wc -l < runs | tr -d " ")\'","expirationTimestamp":"2020-01-01T00:00:00Z"}'
    program.write_text(f"#!/bin/sh\ncd {tmp_path}; echo x >> runs\necho '{{\"status\":{status}}}'\n")
    program.chmod(0o755)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./token"}}
    server.say(200, {"metadata": {}})
    with closing(Kubernetes(written(tmp_path / "config", server.url, **user))) as found:
        for _ in range(2):
            found.get(CONFIG, "a", namespace="default")
    assert [one["Authorization"] for one in server.headers] == ["Bearer 1", "Bearer 2"]


def test_a_name_and_a_password_sign_too(server: Server, tmp_path: Path) -> None:
    server.say(200, {"metadata": {}})
    with closing(Kubernetes(written(tmp_path / "config", server.url, username="judge", password="made-up"))) as found:
        found.get(CONFIG, "a", namespace="default")
    assert server.headers[0]["Authorization"] == "Basic anVkZ2U6bWFkZS11cA=="


def test_a_kubeconfig_in_yaml_with_relative_paths_is_read(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "clusters: [{name: c, cluster: {server: https://named, certificate-authority: ca.crt, tls-server-name: inside}}]\n"
        "contexts: [{name: here, context: {cluster: c, user: u}}]\n"
        "users: [{name: u, user: {token: t}}]\n"
        "current-context: here\n"
    )
    found = kubeconfig.load(str(tmp_path / "config"), "")
    assert (found.cluster.server, found.cluster.server_name, found.user.token) == ("https://named", "inside", "t")
    assert found.path("ca.crt") == tmp_path / "ca.crt"


def test_a_certificate_without_its_key_is_named(tmp_path: Path) -> None:
    user = {"client-certificate-data": "bWFkZS11cA=="}
    refused = pytest.raises(errors.UsageError, match="has no key")
    with closing(Kubernetes(written(tmp_path / "config", "https://127.0.0.1:1", **user))) as found, refused:
        found.get(CONFIG, "a", namespace="default")


def test_once_an_end_is_wanted_nothing_is_sent_again(server: Server, tmp_path: Path) -> None:
    server.refuse(503, "ServiceUnavailable")
    stop = threading.Event()
    stop.set()
    with closing(Kubernetes(written(tmp_path / "config", server.url), stop=stop)) as found, pytest.raises(errors.TransientError):
        found.get(CONFIG, "a", namespace="default")
    assert len(server.asked) == 1


def test_a_service_is_asked_through_the_proxy_and_its_own_refusals_are_answers(server: Server, cluster: Kubernetes) -> None:
    server.say(202, {"id": "1"})
    server.say(401, {"message": "no"})
    server.refuse(503, "ServiceUnavailable")
    server.say(200, {"id": "1"})
    posted = cluster.proxied("ops", "reconciler:http", "POST", "/v1/apply", json={"digest": "d"}, headers={"X-Reconciler-Token": "t"})
    assert posted == (202, b'{"id": "1"}')
    assert cluster.proxied("ops", "reconciler", "GET", "/v1/apply/1")[0] == 401
    assert cluster.proxied("ops", "reconciler", "GET", "/v1/apply/1") == (200, b'{"id": "1"}')  # asked again: nobody was behind it
    proxy = "/api/v1/namespaces/ops/services"
    assert server.paths == [f"{proxy}/reconciler:http/proxy/v1/apply", *[f"{proxy}/reconciler/proxy/v1/apply/1"] * 3]
    assert server.asked[0][2] == b'{"digest":"d"}'
    assert server.headers[0]["X-Reconciler-Token"] == "t"
