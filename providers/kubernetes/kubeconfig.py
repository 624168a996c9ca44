"""Which cluster, with which credentials: as kubectl finds them, or as the Pod that this runs in has them. Reads files, asks nobody."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from reconciler import errors

HINT = "see `kubernetes` in environment.yaml, KUBECONFIG and the context's user"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Cluster(msgspec.Struct, frozen=True, omit_defaults=True):
    """An API server, and by what it is known."""

    server: str = "http://localhost:8080"
    authority: str | None = msgspec.field(name="certificate-authority", default=None)
    authority_data: str | None = msgspec.field(name="certificate-authority-data", default=None)
    insecure: bool = msgspec.field(name="insecure-skip-tls-verify", default=False)
    server_name: str | None = msgspec.field(name="tls-server-name", default=None)
    proxy: str | None = msgspec.field(name="proxy-url", default=None)


class Variable(msgspec.Struct, frozen=True):
    """A variable of a program's environment."""

    name: str
    value: str


class Program(msgspec.Struct, frozen=True):
    """A program that makes tokens."""

    version: str = msgspec.field(name="apiVersion")
    command: str = ""
    env: list[Variable] | None = None
    args: list[str] | None = None


class User(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a user signs in with."""

    exec: Program | None = None
    username: str | None = None
    password: str | None = None
    token: str | None = None
    token_file: str | None = msgspec.field(name="tokenFile", default=None)
    provider: dict[str, Any] | None = msgspec.field(name="auth-provider", default=None)
    certificate: str | None = msgspec.field(name="client-certificate", default=None)
    certificate_data: str | None = msgspec.field(name="client-certificate-data", default=None)
    key: str | None = msgspec.field(name="client-key", default=None)
    key_data: str | None = msgspec.field(name="client-key-data", default=None)


class Access(msgspec.Struct, frozen=True):
    """A cluster, a user, and the folder that relative paths of both are taken from."""

    cluster: Cluster
    user: User
    folder: Path

    def path(self, named: str) -> Path:
        return self.folder / Path(named).expanduser()


def load(path: str, context: str) -> Access:
    """The cluster and user of *context* in the file at *path*; "" for the file that is in use, and for its current context."""
    source = path or _in_use()
    try:
        return _chosen(_document(Path(source).expanduser()), context, Path(source).expanduser().parent) if source else _own_account()
    except (OSError, ValueError, LookupError, msgspec.ValidationError) as error:
        place = source or "the Pod's service account"
        raise errors.UsageError(f"no Kubernetes configuration in {place}: {_said(error)}", hint=HINT) from error


def account() -> str:
    """A kubeconfig, as text, of the Pod's own account; "" where this runs in none, or KUBECONFIG names another."""
    if _in_use():
        return ""
    own = _own_account()
    names = {"cluster": "own", "user": "own"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "own",
        "clusters": [{"name": "own", "cluster": msgspec.to_builtins(own.cluster)}],
        "users": [{"name": "own", "user": msgspec.to_builtins(own.user)}],
        "contexts": [{"name": "own", "context": names}],
    }
    return msgspec.json.encode(document).decode()


def _in_use() -> str:
    """As kubectl: KUBECONFIG first (one file), then the Pod's own account, then ~/.kube/config."""
    named = os.environ.get("KUBECONFIG", "")
    if named or "KUBERNETES_SERVICE_HOST" not in os.environ:
        return named or str(Path("~/.kube/config").expanduser())
    return ""


def _document(path: Path) -> dict[str, Any]:
    """The file as it is; JSON is read as such, since it often is that and YAML takes its time."""
    if not path.is_file():
        raise FileNotFoundError(f"Configuration file {path} not found")
    text = path.read_bytes()
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        found = _yaml(text)
    if not isinstance(found, dict):
        raise ValueError("it is no mapping")  # noqa: TRY004 - the file's fault, not a caller's
    return found


def _yaml(text: bytes) -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415 - the way of those whose kubeconfig is JSON is shorter
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    for pure in (False, True):  # libyaml is quick, but takes no address within braces
        try:
            return YAML(typ="safe", pure=pure).load(text)
        except YAMLError as error:
            told = " ".join(str(error).split())
    raise ValueError(told)


def _chosen(document: dict[str, Any], context: str, folder: Path) -> Access:
    clusters, contexts = _named(document["clusters"]), _named(document["contexts"])
    users = _named(document.get("users") or [])
    name = context or document.get("current-context")
    if not name:
        raise ValueError("No current context set; set `kubernetes.context` in environment.yaml")
    if name not in contexts:
        raise ValueError(f"Context '{name}' not found")
    chosen = contexts[name]["context"]
    user = users[chosen["user"]]["user"] if chosen.get("user") else {}
    return Access(msgspec.convert(clusters[chosen["cluster"]]["cluster"], Cluster), msgspec.convert(user or {}, User), folder)


def _named(listed: list[dict[str, Any]] | None) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in listed or []}


def _own_account() -> Access:
    """What the kubelet gives to a Pod's containers; the token is renewed where it lies."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    token = _ACCOUNT / "token"
    if not token.is_file():
        raise FileNotFoundError(f"{token} is not there")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Access(Cluster(server, authority=str(_ACCOUNT / "ca.crt")), User(token_file=str(token)), _ACCOUNT)


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)[:300]
