"""Which cluster, with which credentials: as kubectl finds them, or as the Pod that this runs in has them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import NameValue

from reconciler import errors

HINT = "see `kubernetes` in environment.yaml, KUBECONFIG and the context's user"
_V1, _V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"


def load(path: str, context: str) -> SingleConfig:
    """The cluster and user of *context* in the file at *path*; "" for the file that is in use, and for its current context."""
    source = path or _in_use()
    try:
        found = KubeConfig.from_file(source) if source else KubeConfig.from_service_account()
        chosen = found.get(context or None)
    except Exception as error:
        place = source or "the Pod's service account"
        raise errors.UsageError(f"no Kubernetes configuration in {place}: {_said(error)}", hint=HINT) from error
    if chosen is None:
        raise errors.UsageError(f"{source} names no context", hint="set `kubernetes.context` in environment.yaml")
    return _signing_in(chosen)


def _in_use() -> str:
    """As kubectl: KUBECONFIG first (one file), then the Pod's own account, then ~/.kube/config."""
    named = os.environ.get("KUBECONFIG", "")
    if named or "KUBERNETES_SERVICE_HOST" not in os.environ:
        return named or str(Path("~/.kube/config").expanduser())
    return ""


def _signing_in(chosen: SingleConfig) -> SingleConfig:
    """Lightkube runs programs of the protocol's beta only; version 1 has the same answer, and is told which version to speak."""
    program = chosen.user.exec if chosen.user else None
    if chosen.user and program and program.apiVersion == _V1:
        spoken = {"apiVersion": _V1, "kind": "ExecCredential", "spec": {"interactive": False}}
        told = [*(program.env or []), NameValue("KUBERNETES_EXEC_INFO", json.dumps(spoken))]
        chosen.user.exec = msgspec.structs.replace(program, apiVersion=_V1BETA1, env=told)
    return chosen


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)[:300]
