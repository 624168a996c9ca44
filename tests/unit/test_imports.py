"""What a plan with nothing to do may not import: each of these alone costs more than the plan's own work."""

import subprocess
import sys

HEAVY = {"pulumi", "pulumi_aws", "pulumi_kubernetes", "grpc", "lightkube", "httpx2", "boto3", "moto", "ansible_runner", "rich"}
PLANS = """
import sys
import reconciler.cli.plan
from providers import aws, checkpoints, history, kubernetes, observe, together
from reconciler import kinds
kinds.kinds(), kinds.service_types()
print(*sorted({name.partition('.')[0] for name in sys.modules}))
"""


def test_a_plan_imports_nothing_heavy() -> None:
    told = subprocess.run([sys.executable, "-c", PLANS], capture_output=True, text=True, check=True).stdout.split()
    assert "botocore" in told
    assert not HEAVY.intersection(told)


def test_help_imports_no_command() -> None:
    asked = "import sys; from reconciler import cli; cli.cli(['--help'], standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stderr.split()
    assert "click" in told
    assert not {"reconciler.bootstrap", "reconciler.cli.plan", "pydantic", "git", "botocore"}.intersection(told)
