"""A client of MariaDB inside the lab's namespaces: writes numbers and says which were acknowledged, reads them back, tries to get in.

Called `galera_client.py write|read|cluster|strangers HOST,…`. `write` goes on until it is ended: a line `NUMBER SECONDS` for each commit
that any member acknowledged. `cluster` says which cluster each member is in, of how many; `strangers` who got in without a password.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from typing import Any

import pymysql

_PATIENCE = 60.0
_REFUSED = 1045  # access denied


def connect(host: str, user: str = "root", password: str | None = None) -> Any:
    """Only the member at *host*; its own word for who may not come in is an OperationalError."""
    known = os.environ["PASSWORD"] if password is None else password
    return pymysql.connect(host=host, user=user, password=known, autocommit=True, connect_timeout=2, read_timeout=5, write_timeout=5)


def write(hosts: list[str]) -> None:
    numbers = itertools.count()
    for host in itertools.cycle(hosts):
        try:
            with connect(host) as connection, connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE IF NOT EXISTS ledger")
                cursor.execute("CREATE TABLE IF NOT EXISTS ledger.rows (number BIGINT PRIMARY KEY)")
                for number in numbers:
                    cursor.execute("INSERT INTO ledger.rows VALUES (%s)", (number,))
                    print(number, time.monotonic(), flush=True)  # noqa: T201 - its answer
                    time.sleep(0.02)
        except (pymysql.Error, OSError):  # what became of that number nobody knows; the next one is tried
            time.sleep(0.1)


def read(hosts: list[str]) -> None:
    """What all members have: a number that one lacks is not told."""
    held = [{number for (number,) in rows(host, "SELECT number FROM ledger.rows")} for host in hosts]
    for number in sorted(set.intersection(*held)):
        print(number)  # noqa: T201 - its answer


def cluster(hosts: list[str]) -> None:
    for host in hosts:
        told = dict(rows(host, "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_%'"))
        print(told["wsrep_cluster_state_uuid"], told["wsrep_cluster_size"], told["wsrep_cluster_status"])  # noqa: T201 - its answer


def strangers(hosts: list[str]) -> None:
    for host, user in itertools.product(hosts, ("root", "monitor", "sst", "nobody", "")):
        try:
            connect(host, user, "").close()
        except pymysql.OperationalError as error:
            if error.args[0] == _REFUSED:
                continue
            raise
        print(host, user)  # noqa: T201 - its answer


def rows(host: str, question: str) -> Any:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            with connect(host) as connection, connection.cursor() as cursor:
                cursor.execute("SET SESSION wsrep_sync_wait = 1")  # what others acknowledged before is waited for
                cursor.execute(question)
                return cursor.fetchall()
        except pymysql.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    {"write": write, "read": read, "cluster": cluster, "strangers": strangers}[sys.argv[1]](sys.argv[2].split(","))
