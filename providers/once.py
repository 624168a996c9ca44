"""A cloud as one observation sees it: what several of its readings ask alike is asked once, and they all wait for that answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from typing import Any

from reconciler.ports import Cloud, Payload

_KEPT = frozenset({"list_hosted_zones_by_name"})  # lists that are short and asked for more than once; others are read a page at a time


class Once:
    """*cloud*, for reading: an answer counts for as long as this lives."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._answers: dict[Hashable, Future[Any]] = {}

    def pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Payload]:
        if operation not in _KEPT:
            return self._cloud.pages(service, operation, **arguments)
        pages: list[Payload] = self._ask(
            (service, operation, repr(arguments)), lambda: list(self._cloud.pages(service, operation, **arguments))
        )
        return iter(pages)

    def call(self, service: str, operation: str, **arguments: Any) -> Payload:
        answer: Payload = self._ask((service, operation, repr(arguments)), lambda: self._cloud.call(service, operation, **arguments))
        return answer

    def _ask(self, question: Hashable, ask: Callable[[], Any]) -> Any:
        """The answer to *question*, or the error that it met, whoever asked it first."""
        with self._lock:
            known = self._answers.get(question)
            if known is None:
                own = self._answers[question] = Future()
        if known is not None:
            return known.result()
        try:
            own.set_result(ask())
        except Exception as error:  # noqa: BLE001 - told to everybody who asks
            own.set_exception(error)
        return own.result()
