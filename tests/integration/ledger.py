"""A client of PostgreSQL inside the lab's namespaces: writes numbers and says which were acknowledged; reads them back.

Called `ledger.py write|read HOST,…`. `write` goes on until it is ended: a line `NUMBER SECONDS` for each commit that was acknowledged.
"""

from __future__ import annotations

import itertools
import os
import sys
import time

import psycopg

_PATIENCE = 60.0


def connect(hosts: str) -> psycopg.Connection[tuple[int]]:
    """To whichever member takes writes; a name that does not answer is not waited for."""
    return psycopg.connect(
        f"host={hosts} user=postgres dbname=postgres target_session_attrs=read-write connect_timeout=2 tcp_user_timeout=3000",
        password=os.environ["PASSWORD"],
        autocommit=True,
    )


def write(hosts: str) -> None:
    numbers = itertools.count()
    while True:
        try:
            with connect(hosts) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS ledger (number bigint PRIMARY KEY)")
                for number in numbers:
                    connection.execute("INSERT INTO ledger VALUES (%s)", (number,))
                    print(number, time.monotonic(), flush=True)  # noqa: T201 - its answer
                    time.sleep(0.02)
        except psycopg.Error:  # what became of that number nobody knows; the next one is tried
            time.sleep(0.1)


def read(hosts: str) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            with connect(hosts) as connection:
                for (number,) in connection.execute("SELECT number FROM ledger ORDER BY number"):
                    print(number)  # noqa: T201 - its answer
                return
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](sys.argv[2])
