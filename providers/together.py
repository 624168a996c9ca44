"""Runs calls side by side and ends when all of them have; the first error is raised then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def run(calls: Iterable[Callable[[], None]]) -> None:
    every = tuple(calls)
    with ThreadPoolExecutor(len(every) or 1, thread_name_prefix="pass") as pool:
        futures = [pool.submit(call) for call in every]
    for future in futures:
        future.result()
