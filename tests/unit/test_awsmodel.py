"""Botocore's descriptions, read lazily, are the same descriptions."""

import pytest
from botocore import loaders

from providers.aws import Aws
from providers.awsmodel import Loader
from reconciler import errors


@pytest.mark.parametrize("service", ["ec2", "route53", "sts"])
def test_a_description_read_lazily_is_the_same(service: str) -> None:
    lazily, whole = Loader().load_service_model(service, "service-2"), loaders.Loader().load_service_model(service, "service-2")
    assert list(lazily["operations"].items()) == list(whole["operations"].items())
    assert lazily["shapes"].get("nothing") is None
    assert {name: lazily["shapes"][name] for name in whole["shapes"]} == whole["shapes"]
    assert lazily["metadata"] == whole["metadata"]


def test_only_wanted_operations_are_kept() -> None:
    kept = Loader(keep=lambda operation: operation.startswith("DescribeV")).load_service_model("ec2", "service-2")
    assert "DescribeVolumes" in kept["operations"]
    assert "CreateVolume" not in kept["operations"]


def test_a_service_that_is_none_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    with pytest.raises(errors.ProviderError, match="no client for AWS nonesuch"):
        Aws("us-east-1").call("nonesuch", "describe_volumes")
