"""What the environment `lab` leaves out of its document, written where `reconcile` looks for an environment's own defaults.

The same for a reconciler that runs in the lab itself: what goes into the Secret that its Pod is given.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab import access
from lab.layout import Layout, Role
from reconciler.resources.installed_pod import DEFAULTS, SETTINGS

FILE = "defaults.json"
INSIDE, CREDENTIALS = "inside", "credentials"  # a folder of files, for `kubectl create secret generic NAME --from-file=FOLDER`
WORKERS: tuple[Role, ...] = ("reconciler", "engine", "members")


def write(layout: Layout) -> None:
    """Publish the defaults of *layout* in its folder; readable by its owner only, since it holds the engine's passphrase."""
    told = defaults(layout)
    own = Path(layout.dir) / INSIDE
    own.mkdir(mode=0o700, exist_ok=True)
    access.write_credentials_of(WORKERS, Path(layout.aws.credentials_file), own / CREDENTIALS)
    _write(own / DEFAULTS, inside(layout, told))
    _write(Path(layout.dir) / FILE, told)


def _write(target: Path, told: Mapping[str, Any]) -> None:
    draft = target.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(told, indent=1))
    draft.replace(target)


def inside(layout: Layout, told: Mapping[str, Any]) -> dict[str, Any]:
    """What of *told* holds in a Pod of the lab: AWS is elsewhere, the cluster is its own, and what it keeps lies on its claim."""
    spec, roles = told["spec"], layout.aws.profiles
    found = {"endpoint": layout.aws.endpoint_inside, "profile": roles["reconciler"]}
    process = {name: value for name, value in told["process"].items() if name != "PULUMI_HOME"}
    return {
        "spec": {
            "zones": spec["zones"],
            "aws": {**spec["aws"], **found},
            "engine": {"profile": roles["engine"]},
            "members": {"profile": roles["members"]},
        },
        "process": {**process, "AWS_SHARED_CREDENTIALS_FILE": f"{SETTINGS}/{CREDENTIALS}"},
        "path": told["path"],
    }


def defaults(layout: Layout) -> dict[str, Any]:
    """`spec`: fields of an Environment document; `process`: what the processes that act for it find in their environment.

    `path`: where they look for plugins before the user's own PATH, and for tools after it.
    """
    role = layout.aws.profiles
    kubeconfig = layout.kubernetes.kubeconfigs
    own = Path(layout.dir) / "reconciler"
    return {
        "spec": {
            "zones": layout.zones,
            "aws": {
                "region": layout.region,
                "endpoint": layout.aws.endpoint,
                "profile": role["reconciler"],
                "vpc": layout.aws.vpc,
                "subnets": layout.aws.subnets,
                "securityGroups": layout.aws.security_groups,
            },
            "kubernetes": {"kubeconfig": kubeconfig["reconciler"]},
            "engine": {"backend": f"file://{own}/engine", "profile": role["engine"], "kubeconfig": kubeconfig["engine"]},
            "members": {"profile": role["members"], "kubeconfig": kubeconfig["members"]},
            "store": f"sqlite:///{own}/store.db",
        },
        "process": {
            "AWS_SHARED_CREDENTIALS_FILE": layout.aws.credentials_file,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_urlsafe(24),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "PULUMI_HOME": f"{own}/pulumi",
        },
        "path": {"first": [layout.plugins], "last": [layout.tools] if layout.tools else []},
    }
