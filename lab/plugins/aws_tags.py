"""Part of the stand-in `aws` plugin: the tags of EC2 things, and the tokens that make a create safe to repeat."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from lab.plugins.aws_client import Client, pairs


def token() -> str:
    """A client token: one per create, the same in its retries."""
    return f"terraform-{secrets.token_hex(13)}"


def change(client: Client, id_: str, olds: Mapping[str, str], news: Mapping[str, str]) -> None:
    """Take off the tags that are gone, put on those that are new or differ; touch nothing else."""
    gone = [{"Key": key} for key in sorted(olds.keys() - news.keys())]
    if gone:
        client.ec2("DeleteTags", ResourceId=[id_], Tag=gone)
    added = {key: value for key, value in news.items() if olds.get(key) != value}
    if added:
        client.ec2("CreateTags", ResourceId=[id_], Tag=pairs(added))
