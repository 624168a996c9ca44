"""The four identities, least privilege each: users and policies in IAM, certificates and RBAC in Kubernetes."""

from __future__ import annotations

import configparser
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from lab import layout, pki
from lab.layout import ROLES, Role

if TYPE_CHECKING:
    from mypy_boto3_iam.client import IAMClient

POLICIES = Path(__file__).with_name("policies")
_CLUSTER_ADMIN: Mapping[str, tuple[str, ...]] = {"judge": ("system:masters",)}
_CONTROL_PLANE = {"controller-manager": "system:kube-controller-manager", "scheduler": "system:kube-scheduler"}


def write_kubeconfigs(authority: pki.Authority, folder: Path, outside: str) -> None:
    """A kubeconfig a role for *outside*, the same again for the inside, and those of the control plane's own processes."""
    inside = f"https://{layout.API_SERVER}:{layout.API_SERVER_PORT}"
    for role in ROLES:
        signed = authority.identify(role, *_CLUSTER_ADMIN.get(role, ()))
        _write(folder / f"{role}.kubeconfig", pki.kubeconfig(authority, outside, signed, role))
        _write(folder / f"{role}-inside.kubeconfig", pki.kubeconfig(authority, inside, signed, role))
    for name, user in _CONTROL_PLANE.items():
        _write(folder / f"{name}.kubeconfig", pki.kubeconfig(authority, inside, authority.identify(user), user))


def rules() -> Iterator[dict[str, Any]]:
    """The RBAC objects of the roles; what a pass may write is bound in the environment's namespaces only."""
    for role in ROLES:
        path = POLICIES / f"{role}.yaml"
        if path.exists():
            yield from YAML(typ="safe").load_all(path.read_text())
    for namespace in layout.NAMESPACES:
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reconciler-pass", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reconciler-pass"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reconciler"}],
        }


def write_credentials(iam: IAMClient, path: Path) -> None:
    """Make an IAM user a role, and write their keys as profiles."""
    profiles = configparser.ConfigParser()
    for role in ROLES:
        profiles[role] = _user(iam, role)
    text = io.StringIO()
    profiles.write(text)
    _write(path, text.getvalue())


def read_credentials(path: Path, role: Role) -> tuple[str, str]:
    """The access key of *role* and its secret."""
    profiles = configparser.ConfigParser()
    profiles.read(path)
    return profiles[role]["aws_access_key_id"], profiles[role]["aws_secret_access_key"]


def _user(iam: IAMClient, role: Role) -> dict[str, str]:
    iam.create_user(UserName=role)
    iam.put_user_policy(UserName=role, PolicyName=role, PolicyDocument=(POLICIES / f"{role}.json").read_text())
    key = iam.create_access_key(UserName=role)["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"], "region": layout.REGION}


def _write(path: Path, text: str) -> None:
    pki.write_private(path, text.encode())
