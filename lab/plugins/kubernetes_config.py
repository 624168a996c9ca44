"""Part of the stand-in `kubernetes` plugin: which API server to ask and as whom (a kubeconfig), and the provider's switches."""

from __future__ import annotations

import base64
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.plugins.properties import UNKNOWN
from lab.plugins.provider import Refused


class Unreachable(Refused):
    """No API server answers."""

    def __init__(self, why: object) -> None:
        super().__init__(f"configured Kubernetes cluster is unreachable: {why}")


@dataclass(frozen=True, slots=True)
class Target:
    """Where an API server is and who asks it."""

    server: str
    namespace: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    folder: Path


@dataclass(frozen=True, slots=True)
class Switches:
    """The provider's settings; each may be a boolean, the SDK's JSON text of one, or come from the environment."""

    values: Mapping[str, Any]

    def told(self, name: str, variable: str) -> bool | None:
        value = self.values.get(name)
        if value is None or value is UNKNOWN:
            value = os.environ.get(variable)
        return None if value is None else value in {True, "true"}

    @property
    def server_side(self) -> bool:
        return self.told("enableServerSideApply", "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY") is not False

    @property
    def force(self) -> bool:
        return bool(self.told("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"))

    @property
    def upsert(self) -> bool:
        return bool(self.told("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"))

    @property
    def mutable(self) -> frozenset[str]:
        """The kinds whose content may be changed in place."""
        told = {
            "ConfigMap": self.told("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
            "Secret": self.told("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
        }
        return frozenset(kind for kind, may in told.items() if may)

    def target(self) -> Target:
        """The API server that the settings lead to."""
        return target(self.values.get("kubeconfig"), self.values.get("context"), self.values.get("cluster"))

    def cluster(self) -> object:
        """What tells one cluster from another; the kubeconfig itself where it can't be read."""
        try:
            return dict(self.target().cluster)
        except Unreachable:
            return self.values.get("kubeconfig")


def target(kubeconfig: str | None, context: str | None = None, cluster: str | None = None) -> Target:
    """What a kubeconfig (its path, or its text) says; as kubectl does where none is given."""
    text, folder = _kubeconfig(kubeconfig)
    document = _parsed(text)
    chosen = _named(document, "contexts", context or document.get("current-context") or "", "context")
    found = _named(document, "clusters", cluster or str(chosen.get("cluster")), "cluster")
    user = _named(document, "users", str(chosen["user"]), "user") if chosen.get("user") else {}
    return Target(str(found["server"]), str(chosen.get("namespace") or ""), found, user, folder)


def tls(target: Target) -> ssl.SSLContext:
    """What proves who either side is."""
    authority = _bytes(target.cluster, "certificate-authority", target.folder)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if target.cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificate, key = _bytes(target.user, "client-certificate", target.folder), _bytes(target.user, "client-key", target.folder)
    if certificate and key:
        with tempfile.NamedTemporaryFile() as file:  # OpenSSL reads files only; this one is ours alone and gone at once
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def token(target: Target) -> str:
    """The bearer token, or ""."""
    if target.user.get("exec"):
        raise Refused("kubeconfig: the lab's stand-in runs no credential plugins (`exec`); use a token or a client certificate")
    path = target.user.get("tokenFile")
    return str(target.user.get("token") or ((target.folder / path).read_text().strip() if path else ""))


def _kubeconfig(given: str | None) -> tuple[str, Path]:
    """The text, and the folder that its relative paths start from."""
    if given and ("\n" in given or given.lstrip().startswith("{")):
        return given, Path.cwd()
    path = Path(given or os.environ.get("KUBECONFIG", "").split(":")[0] or "~/.kube/config").expanduser()
    try:
        return path.read_text(), path.absolute().parent
    except OSError as error:
        raise Unreachable(f"failed to read kubeconfig file: {error}") from error


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        import yaml  # type: ignore[import-untyped] # noqa: PLC0415 - a JSON kubeconfig needs none

        try:
            document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError as error:
            raise Unreachable(f"failed to parse kubeconfig data in `kubernetes:config:kubeconfig`: {error}") from error
    return document if isinstance(document, Mapping) else {}


def _named(document: Mapping[str, Any], section: str, name: str, what: str) -> Mapping[str, Any]:
    for entry in document.get(section) or ():
        if entry.get("name") == name:
            return entry.get(what) or {}
    raise Unreachable(f'unable to load Kubernetes client configuration from kubeconfig: {what} "{name}" does not exist')


def _bytes(where: Mapping[str, Any], key: str, folder: Path) -> bytes | None:
    """What `<key>-data` holds, or the file at `<key>`."""
    if encoded := where.get(f"{key}-data"):
        return base64.b64decode(encoded)
    return (folder / where[key]).read_bytes() if where.get(key) else None
