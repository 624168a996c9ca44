"""The engine's own credentials: the providers that a stack's resources are made through. Everything else only reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from reconciler.model.environment import Environment

SERVICES = ("ec2", "kms", "route53", "sts")


@dataclass(frozen=True, slots=True)
class Writers:
    """Called inside a program: the providers of *environment*, by package; that of AWS is left out where all is *bare* Kubernetes.

    *account* is a kubeconfig as text, for environments that name none.
    """

    environment: Environment
    account: str = ""
    bare: bool = False

    def __call__(self) -> Mapping[str, pulumi.ProviderResource]:
        return {"kubernetes": self._kubernetes(), **({} if self.bare else {"aws": self._aws()})}

    def _kubernetes(self) -> pulumi.ProviderResource:
        import pulumi_kubernetes as kubernetes  # noqa: PLC0415 - half a second, and in a program only

        own, shared = self.environment.engine, self.environment.kubernetes
        made: pulumi.ProviderResource = kubernetes.Provider(
            "kubernetes",
            kubeconfig=self.account or own.kubeconfig or shared.kubeconfig,
            context=None if self.account else own.context or shared.context,
            enable_server_side_apply=True,
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
        )
        return made

    def _aws(self) -> pulumi.ProviderResource:
        import pulumi_aws as aws  # noqa: PLC0415

        made: pulumi.ProviderResource = aws.Provider("aws", **self._arguments(aws))
        return made

    def _arguments(self, aws: Any) -> dict[str, Any]:
        own, shared = self.environment.engine, self.environment.aws
        arguments: dict[str, Any] = {"region": self.environment.region, "profile": own.profile or shared.profile}
        role = own.role_arn or shared.role_arn
        if role:
            arguments["assume_roles"] = [{"role_arn": role}]
        if shared.endpoint:  # not AWS itself: what only AWS answers is not asked
            arguments["endpoints"] = [aws.ProviderEndpointArgs(**dict.fromkeys(SERVICES, shared.endpoint))]
            arguments |= {"skip_credentials_validation": True, "skip_metadata_api_check": True, "skip_requesting_account_id": True}
            arguments |= {"skip_region_validation": True}
        return arguments
