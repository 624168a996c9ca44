"""`make verify-aws` rehearsed: the very steps for a real account, against a lab. It proves the steps, not AWS."""

from __future__ import annotations

import os
import sys

import pytest
from ruamel.yaml import YAML

from lab import tool
from lab.layout import Layout
from tests.e2e.workshop import Workshop

pytestmark = pytest.mark.e2e


def document(lab: Layout) -> dict[str, object]:
    """The lab as somebody's account: nothing of it is found by itself."""
    role, kubeconfig = lab.aws.profiles, lab.kubernetes.kubeconfigs
    aws = {
        "region": lab.region,
        "endpoint": lab.aws.endpoint,
        "profile": role["reconciler"],
        "vpc": lab.aws.vpc,
        "subnets": lab.aws.subnets,
    }
    spec = {
        "zones": lab.zones,
        "aws": {**aws, "securityGroups": lab.aws.security_groups},
        "kubernetes": {"kubeconfig": kubeconfig["reconciler"]},
        "engine": {"profile": role["engine"], "kubeconfig": kubeconfig["engine"]},
        "members": {"profile": role["members"], "kubeconfig": kubeconfig["members"]},
    }
    return {"apiVersion": "reconciler/v1", "kind": "Environment", "metadata": {"name": "mine"}, "spec": spec}


def test_every_sentence_is_true_of_the_lab_and_nothing_is_left(workshop: Workshop) -> None:
    path = workshop.directory / "mine.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(document(workshop.running), file)
    ended = workshop.run(
        "env",
        f"AWS_SHARED_CREDENTIALS_FILE={workshop.running.aws.credentials_file}",
        f"PATH={workshop.running.plugins}{os.pathsep}{tool.path()}",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=1",
        sys.executable,
        *("-m", "tests.verify", path, "--yes", "--judge-profile", workshop.running.aws.profiles["judge"]),
        *("--judge-kubeconfig", workshop.running.kubernetes.kubeconfigs["judge"]),
    )
    assert ended.stdout.count("yes  ") == 7, ended.stdout
    assert "nothing is left" in ended.stdout
