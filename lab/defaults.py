"""What the environment `lab` leaves out of its document, written where `reconcile` looks for an environment's own defaults."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from lab.layout import Layout

FILE = "defaults.json"


def write(layout: Layout) -> None:
    """Publish the defaults of *layout* in its folder; readable by its owner only, since it holds the engine's passphrase."""
    target = Path(layout.dir) / FILE
    draft = target.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(defaults(layout), indent=1))
    draft.replace(target)


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
