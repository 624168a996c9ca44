"""The processes of a Kubernetes control plane, as upstream ships them, set up for one small machine."""

from __future__ import annotations

import json
from pathlib import Path

from lab import layout
from lab.child import Child, exists
from lab.layout import ROLES

API_READY = "api.ready"  # touched once the API server says so: before it knows its roles, clients only learn to wait
AUDIT, AUDIT_POLICY = "audit.jsonl", "audit.json"  # which role has asked the API server for what
ETCD_PORT, ETCD_PEER_PORT = 2379, 2380
ETCD = f"http://127.0.0.1:{ETCD_PORT}"


def write_audit_policy(directory: Path) -> None:
    """Have the API server put down who of our roles, of session Pods and of an installed reconciler asked for what; never what was said."""
    kept = {"level": "Metadata", "users": [role for role in ROLES if role != "judge"]}
    pods = {"level": "Metadata", "userGroups": ["system:serviceaccounts:default"]}
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [kept, pods, {"level": "None"}],
    }
    (directory / AUDIT_POLICY).write_text(json.dumps(policy))


def children(directory: Path) -> list[Child]:
    ready = exists(directory / API_READY)
    return [
        Child("etcd", etcd(directory, ETCD_PORT, ETCD_PEER_PORT)),
        Child("kube-apiserver", _api_server(directory)),
        Child("kube-controller-manager", _controllers(directory), after=ready),
        Child("kube-scheduler", _scheduler(directory), after=ready),
    ]


def etcd(directory: Path, client: int, peer: int) -> tuple[str, ...]:
    """An etcd of one member on loopback, reached at the port *client*, that keeps what it has in *directory*."""
    here, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return (
        "etcd",
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",  # it begins empty: nothing needs to survive the machine
        "--log-level=warn",
    )


def _api_server(directory: Path) -> tuple[str, ...]:
    pki = directory / "pki"
    return (
        "kube-apiserver",
        f"--bind-address={layout.API_SERVER}",
        f"--advertise-address={layout.API_SERVER}",
        f"--secure-port={layout.API_SERVER_PORT}",
        f"--service-cluster-ip-range={layout.SERVICES}",
        f"--etcd-servers={ETCD}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        f"--audit-policy-file={directory / AUDIT_POLICY}",
        f"--audit-log-path={directory / AUDIT}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        "--profiling=false",
    )


def _controllers(directory: Path) -> tuple[str, ...]:
    pki = directory / "pki"
    return (
        "kube-controller-manager",
        f"--kubeconfig={directory / 'kube' / 'controller-manager.kubeconfig'}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'service-account.key'}",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--node-monitor-grace-period=20s",  # a dead node is seen in the time of a test
        "--node-monitor-period=4s",
        "--profiling=false",
    )


def _scheduler(directory: Path) -> tuple[str, ...]:
    return (
        "kube-scheduler",
        f"--kubeconfig={directory / 'kube' / 'scheduler.kubeconfig'}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    )
