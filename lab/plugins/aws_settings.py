"""Part of the stand-in `aws` plugin: the provider's settings, as pulumi_aws sends them, and where its credentials come from."""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.plugins.aws_client import Client, Credentials, text
from lab.plugins.patience import Patience
from lab.plugins.properties import Values
from lab.plugins.provider import Refused

_NO_REGION = "Missing region configuration\nMake sure you have set your AWS region, e.g. `pulumi config set aws:region us-west-2`."
_NO_CREDENTIALS = (
    "No valid credential sources found: give the provider `profile` with `sharedCredentialsFiles`, or `accessKey` and `secretKey`, "
    "or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the provider was told, its nested values decoded."""

    values: Mapping[str, Any]

    @property
    def region(self) -> str:
        return str(self.values.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "")

    @property
    def default_tags(self) -> dict[str, str]:
        return dict((self.values.get("defaultTags") or {}).get("tags") or {})

    @property
    def ignored_tags(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """Keys, and prefixes of keys, that the provider leaves to others."""
        ignored = self.values.get("ignoreTags") or {}
        return frozenset(ignored.get("keys") or ()), tuple(ignored.get("keyPrefixes") or ())

    @property
    def endpoints(self) -> dict[str, str]:
        given: dict[str, str] = {}
        for group in self.values.get("endpoints") or ():
            given |= {service: url for service, url in group.items() if url}
        everywhere = os.environ.get("AWS_ENDPOINT_URL")
        named = {service: os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or everywhere for service in ("ec2", "route53", "sts")}
        return {service: url for service, url in named.items() if url} | given


def read(values: Values) -> Settings:
    """Settings of a provider's inputs; the SDK sends what is nested as JSON text."""
    decoded = {}
    for name, value in values.items():
        decoded[name] = _decoded(value) if isinstance(value, str) else value
    return Settings(decoded)


def missing_region(settings: Settings) -> str:
    """Why the provider can't be set up; empty where it can."""
    return "" if settings.region else _NO_REGION


def connect(settings: Settings, patience: Patience) -> tuple[Client, str]:
    """A client for the identity of *settings*, with the account's id where that may be asked for."""
    retries = settings.values.get("maxRetries") or os.environ.get("AWS_MAX_ATTEMPTS") or 25
    client = Client(_credentials(settings.values), settings.region, settings.endpoints, patience, int(retries))
    for role in settings.values.get("assumeRoles") or ():
        client = _assume(client, role)
    if settings.values.get("skipCredentialsValidation") is True and settings.values.get("skipRequestingAccountId") is True:
        return client, ""
    return client, text(client.sts("GetCallerIdentity"), "GetCallerIdentityResult/Account") or ""


def _decoded(value: str) -> Any:
    """JSON where it is JSON of something nested; a region or a key is itself."""
    if value not in {"true", "false"} and not value.startswith(("[", "{")) and not value.isdigit():
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _credentials(values: Mapping[str, Any]) -> Credentials:
    """In the real provider's order: its own settings, the environment, the shared files."""
    if values.get("accessKey") and values.get("secretKey"):
        return Credentials(str(values["accessKey"]), str(values["secretKey"]), str(values.get("token") or ""))
    profile = values.get("profile") or os.environ.get("AWS_PROFILE")
    environment = os.environ
    if not profile and environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        token = environment.get("AWS_SESSION_TOKEN", "")
        return Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], token)
    shared = configparser.ConfigParser(interpolation=None)
    default = environment.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    shared.read([Path(str(path)).expanduser() for path in values.get("sharedCredentialsFiles") or (default,)])
    name = str(profile or "default")
    if not shared.has_option(name, "aws_access_key_id"):
        raise Refused(f"{_NO_CREDENTIALS} (profile {name!r} was looked for)")
    section = shared[name]
    return Credentials(section["aws_access_key_id"], section["aws_secret_access_key"], section.get("aws_session_token", ""))


def _assume(client: Client, role: Mapping[str, Any]) -> Client:
    answer = client.sts(
        "AssumeRole",
        RoleArn=role.get("roleArn"),
        RoleSessionName=role.get("sessionName") or "pulumi-resource-aws",
        ExternalId=role.get("externalId"),
    )
    given = answer.find("AssumeRoleResult/Credentials")
    credentials = Credentials(text(given, "AccessKeyId") or "", text(given, "SecretAccessKey") or "", text(given, "SessionToken") or "")
    return Client(credentials, client.region, client.endpoints, client.patience, client.retries)
