"""The four identities, least privilege each: users and policies in IAM, certificates and RBAC in Kubernetes."""

from __future__ import annotations

import configparser
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

import reconciler
from lab import layout, pki
from lab.layout import ROLES, Role

if TYPE_CHECKING:
    from mypy_boto3_iam.client import IAMClient

POLICIES = Path(reconciler.__file__).with_name("policies")  # what the product ships is what the lab enforces
IAM: Mapping[Role, str] = {"reconciler": "plan", "engine": "apply", "members": "members"}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"}]}
RULES = ("plan", "apply", "members", "sessions")
BOUND: Mapping[Role, str] = {"reconciler": "reconciler-plan", "engine": "reconciler-engine", "members": "reconciler-members"}
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
    for name in RULES:
        for rule in YAML(typ="safe").load_all((POLICIES / f"{name}.yaml").read_text()):
            spaces = layout.NAMESPACES if rule["kind"] == "ServiceAccount" else ("",)
            yield from ({**rule, "metadata": {**rule["metadata"], "namespace": space}} if space else rule for space in spaces)
    for role, name in BOUND.items():
        yield _binding(name, role)
    for namespace in layout.NAMESPACES:
        yield _binding("reconciler-pass", "reconciler", namespace)


def _binding(name: str, role: Role, namespace: str = "") -> dict[str, Any]:
    """The ClusterRole *name* for *role*, in one namespace or everywhere."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": role}],
    }


def write_credentials(iam: IAMClient, path: Path) -> None:
    """Make an IAM user a role, and write their keys as profiles."""
    profiles = configparser.ConfigParser()
    for role in ROLES:
        profiles[role] = _user(iam, role)
    text = io.StringIO()
    profiles.write(text)
    _write(path, text.getvalue())


def write_credentials_of(roles: Iterable[Role], source: Path, path: Path) -> None:
    """Write the profiles of *roles* alone, out of all those in *source*."""
    every, some = configparser.ConfigParser(), configparser.ConfigParser()
    every.read(source)
    for role in roles:
        some[role] = every[role]
    text = io.StringIO()
    some.write(text)
    _write(path, text.getvalue())


def read_credentials(path: Path, role: Role) -> tuple[str, str]:
    """The access key of *role* and its secret."""
    profiles = configparser.ConfigParser()
    profiles.read(path)
    return profiles[role]["aws_access_key_id"], profiles[role]["aws_secret_access_key"]


def _user(iam: IAMClient, role: Role) -> dict[str, str]:
    iam.create_user(UserName=role)
    iam.put_user_policy(UserName=role, PolicyName=role, PolicyDocument=_policy(role))
    key = iam.create_access_key(UserName=role)["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"], "region": layout.REGION}


def _policy(role: Role) -> str:
    """The judge may do everything; the others what the product ships for them."""
    return (POLICIES / f"{IAM[role]}.json").read_text() if role in IAM else json.dumps(EVERYTHING)


def _write(path: Path, text: str) -> None:
    pki.write_private(path, text.encode())
