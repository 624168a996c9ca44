"""What no EBS volume can be is an error of the commit, with its line; what can be is what EBS itself would take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from providers.memory import disk
from reconciler import errors
from reconciler.model.service import VolumeSpec
from tests.memory_world import loaded

ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def kv(volume: str) -> str:
    return f"""\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: kv}}
spec:
  type: redis
  volumes:
    data: {{{volume}}}
"""


@pytest.mark.parametrize(
    ("volume", "told"),
    [
        ("size: 100G", "size: 100G is not a whole number of GiB, which is all that a volume can have: write 94Gi"),
        ("size: 1.5Gi", "size: 1.5Gi is not a whole number of GiB, which is all that a volume can have: write 2Gi"),
        ("size: 100Gi, type: io2", "iops: a volume of type io2 must say its iops"),
        ("size: 100Gi, type: gp2, throughput: 250", "throughput: a volume of type gp2 takes no throughput"),
        ("size: 100Gi, type: gp2, iops: 3000", "iops: a volume of type gp2 takes no iops"),
        ("size: 100Gi, type: st1", "size: 100Gi is out of range: a st1 volume has 125Gi to 16384Gi"),
        ("size: 2Ti, type: standard", "size: 2Ti is out of range: a standard volume has 1Gi to 1024Gi"),
        ("size: 10Gi, iops: 5001", "iops: 5001 is out of range: a gp3 volume of 10Gi has 5000 iops at most, 500 for each GiB"),
        ("size: 4Gi, type: io1, iops: 201", "iops: 201 is out of range: a io1 volume of 4Gi has 200 iops at most, 50 for each GiB"),
        ("size: 8Gi, throughput: 751", "throughput: 751 is out of range: with 3000 iops it is 750 at most; it needs iops: 3004"),
        ("size: 8Gi, kmsKey: alias/data", "kmsKey: must be the ARN of a key or of an alias"),
        (f"size: 8Gi, encrypted: false, kmsKey: '{ARN}'", "kmsKey: a volume that is not encrypted takes no kmsKey"),
    ],
)
def test_what_ebs_would_refuse_is_refused_with_its_line(volume: str, told: str) -> None:
    (fault,) = loaded(kv(volume)).faults
    assert f"spec.volumes.data.{told}" in str(fault)
    assert "services.yaml:7:" in str(fault)


@pytest.mark.parametrize(
    "volume",
    [
        "size: 6Gi, iops: 3000",
        "size: 100Gi, iops: 16000, throughput: 2000",
        "size: 1Gi, throughput: 750",
        "size: 256Gi, type: io2, iops: 256000",
        f"size: 8Gi, kmsKey: '{ARN}'",
        "size: 8Gi, kmsKey: 'arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/team/data'",
    ],
)
def test_what_ebs_takes_passes(volume: str) -> None:
    assert not loaded(kv(volume)).faults


@given(
    kind=st.sampled_from(["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"]),
    size=st.integers(1, 70_000),
    iops=st.none() | st.integers(90, 300_000),
    throughput=st.none() | st.integers(100, 2_100),
)
def test_a_spec_passes_exactly_where_ebs_would_make_the_volume(kind: str, size: int, iops: int | None, throughput: int | None) -> None:
    said = {"type": kind, "size": f"{size}Gi", "iops": iops, "throughput": throughput}
    asked = {"VolumeType": kind, "Size": size, "Iops": iops, "Throughput": throughput}
    assert _passes(said) == _is_made(asked)


def _passes(said: dict[str, Any]) -> bool:
    try:
        VolumeSpec.model_validate(said)
    except ValidationError:
        return False
    return True


def _is_made(asked: dict[str, Any]) -> bool:
    try:
        disk.shaped(asked)
    except errors.ProviderError:
        return False
    return True
