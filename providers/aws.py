"""Port `Cloud` over botocore: one client a service, throttling waited out, every refusal a ProviderError.

It is botocore's session and not boto3's: nothing here needs resources, and it spares their import.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, cast

import botocore.session
from botocore import exceptions, utils
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, Credentials, DeferredRefreshableCredentials
from botocore.paginate import Paginator
from botocore.parsers import ResponseParserError

from providers.awsmodel import Loader
from reconciler import errors
from reconciler.ports import Payload

READS = ("describe_", "get_", "list_")
PATIENCE = 300.0  # seconds for which one call is tried again while AWS throttles: a plan of thousands may well take that long
AWAY = 60.0  # the same while it cannot be reached: a person without a network is told so in a minute
LONGEST_PAUSE = 20.0
# https://docs.aws.amazon.com/general/latest/gr/api-retries.html, EC2's and Route53's own words for "slower, please"
THROTTLES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=16,
    user_agent_extra="reconciler",
)


class Aws:
    """AWS with the credentials of a profile, or of a role taken on with them.

    With *reads_only* every operation but describe, get and list is refused here already, whatever the credentials allow. *attempts* is
    how often botocore itself sends a call to which no answer comes; with 1 none is made twice. Once *stop* is set, nothing is sent again.
    """

    def __init__(
        self,
        region: str,
        *,
        profile: str = "",
        endpoint: str = "",
        credentials_file: str = "",
        role_arn: str = "",
        reads_only: bool = False,
        patience: float = PATIENCE,
        attempts: int = 3,
        stop: threading.Event | None = None,
    ) -> None:
        self.region, self.profile, self.endpoint, self.role_arn = region, profile, endpoint, role_arn
        self.credentials_file, self.reads_only, self.patience = credentials_file, reads_only, patience
        self._config = _CONFIG.merge(Config(retries={"mode": "adaptive", "total_max_attempts": attempts}))
        self._stop = stop or threading.Event()
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._opened: botocore.session.Session | None = None

    def pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Payload]:
        """Every page of a listing operation; one page where the operation knows no pages. A throttled page is asked for again by itself."""
        self._permit(service, operation)
        client = self._client(service)
        ask = partial(self._patiently, service, operation, getattr(client, operation))
        if not client.can_paginate(operation):
            yield ask(**arguments)
            return
        name = client.meta.method_to_api_mapping[operation]
        with self._lock:
            config = self._session().get_paginator_model(service).get_paginator(name)
        yield from Paginator(cast("Any", ask), config, client.meta.service_model.operation_model(name)).paginate(**arguments)

    def call(self, service: str, operation: str, **arguments: Any) -> Payload:
        self._permit(service, operation)
        return self._patiently(service, operation, getattr(self._client(service), operation), **arguments)

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _permit(self, service: str, operation: str) -> None:
        if self.reads_only and not operation.startswith(READS):
            raise errors.ProviderError(
                f"{service} {operation} was not sent to AWS: these credentials are for reading",
                hint="what is planned is written by the engine and by `members`, with their own credentials",
                code="ReadsOnly",
            )

    def _patiently(self, service: str, operation: str, send: Callable[..., Any], **arguments: Any) -> Payload:
        """Send until AWS answers or *patience* is over, which is short where nobody answers.

        A writing call is sent again after a throttle only: else it may have been done.
        """
        began, pause = time.monotonic(), 1.0
        while True:
            failed = self._try(service, operation, partial(send, **arguments))
            if not isinstance(failed, errors.ProviderError):
                return failed
            again = isinstance(failed, errors.TransientError) and (operation.startswith(READS) or failed.code in THROTTLES)
            wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, guards nothing
            patience = self.patience if failed.code in THROTTLES else min(self.patience, AWAY)
            if not again or time.monotonic() + wait > began + patience or self._stop.wait(wait):
                raise failed
            pause = min(pause * 2, LONGEST_PAUSE)

    def _try(self, service: str, operation: str, send: Callable[[], Any]) -> Payload | errors.ProviderError:
        try:
            answer: Payload = send()
        except exceptions.ClientError as error:
            return _refusal(f"{service} {operation}", error)
        except (exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.IncompleteReadError, ResponseParserError) as error:
            message = f"AWS could not be reached for {service} {operation} in {self.region}: {_brief(error)}"
            return errors.TransientError(message, hint="see whether the network and `aws.endpoint` are right", code=type(error).__name__)
        except exceptions.BotoCoreError as error:
            return errors.ProviderError(f"AWS was not asked for {service} {operation}: {_brief(error)}", hint=self._hint())
        return answer

    def _client(self, service: str) -> Any:
        """The client of *service*: making one is slow and not thread-safe, using it is neither."""
        with self._lock:
            if service not in self._clients:
                try:
                    self._clients[service] = self._make(service)
                except (exceptions.BotoCoreError, ValueError) as error:
                    raise errors.ProviderError(f"no client for AWS {service}: {_brief(error)}", hint=self._hint()) from error
            return self._clients[service]

    def _make(self, service: str, session: botocore.session.Session | None = None, **credentials: Any) -> Any:
        endpoint = self.endpoint or None
        made = session or self._session()
        return made.create_client(service, region_name=self.region, endpoint_url=endpoint, config=self._config, **credentials)

    def _session(self) -> botocore.session.Session:
        if self._opened is None:
            self._opened = self._open()
            if self.role_arn:
                source = self._opened
                self._opened = self._open()
                self._opened.register_component("credential_provider", _Role(source, partial(self._make, session=source), self.role_arn))
        return self._opened

    def _open(self) -> botocore.session.Session:
        session = botocore.session.Session(profile=self.profile or None)
        if self.credentials_file:
            session.set_config_variable("credentials_file", self.credentials_file)
        named = session.get_config_variable("data_path")
        loader = Loader(named.split(os.pathsep) if named else None, _reads if self.reads_only else lambda _: True)
        session.register_component("data_loader", loader)
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
        return session

    def _hint(self) -> str:
        used = f"profile {self.profile}" if self.profile else "the credentials of this machine"
        return f"see whether {used} and region {self.region} are right (`aws` in environment.yaml, AWS_PROFILE)"


class _Role:
    """The credentials of a role, fetched with those of *source* when first needed and again before they expire."""

    def __init__(self, source: botocore.session.Session, make: Callable[..., Any], role_arn: str) -> None:
        self.source, self.make, self.role_arn = source, make, role_arn

    def load_credentials(self) -> Credentials:
        own = self.source.get_credentials()
        if own is None:
            raise exceptions.NoCredentialsError
        fetcher = AssumeRoleCredentialFetcher(self.make, own, self.role_arn, extra_args={"RoleSessionName": "reconciler"})
        return DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)


def _moment(said: Any) -> datetime:
    """A time as AWS writes it; botocore's own reader of any format costs half as much as the rest of a volume."""
    try:
        return datetime.fromisoformat(said)
    except (TypeError, ValueError):
        return utils.parse_timestamp(said)


def _reads(operation: str) -> bool:
    return operation.startswith(("Describe", "Get", "List", "AssumeRole"))


def _refusal(what: str, error: exceptions.ClientError) -> errors.ProviderError:
    """AWS's answer as ours. Only the first line of its message: the rest of some repeats the signed request."""
    told: Mapping[str, Any] = error.response
    detail, status = told.get("Error", {}), told.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code, words = str(detail.get("Code", "")), str(detail.get("Message", "")).strip().splitlines()
    message = f"AWS refused {what}: {code}: {words[0][:300] if words else 'no reason given'}"
    passing = code in THROTTLES or status >= 500 or status == 429  # noqa: PLR2004 - HTTP's own numbers
    made = errors.TransientError if passing else errors.ProviderError
    return made(message, code=code, status=status)


def _brief(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:300] if lines else type(error).__name__
