"""Stands in for a part of `pulumi-resource-aws`: the account that its resources live in."""

from __future__ import annotations

from dataclasses import dataclass

from lab.plugins.aws_client import Client


@dataclass(frozen=True, slots=True)
class Account:
    """The AWS that a resource lives in."""

    client: Client
    id: str = ""

    @property
    def region(self) -> str:
        return self.client.region

    def arn(self, what: str) -> str:
        """The name of an EC2 thing (`volume/vol-1`) among all of AWS."""
        return f"arn:aws:ec2:{self.region}:{self.id}:{what}"
