"""Clients of the services, run inside the lab's namespaces by `reconcile lab exec`: questions as JSON in, answers as JSON out."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

_PATIENCE = 15.0
_KAFKA_LOGIN = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512"}


def redis(question: dict[str, Any]) -> dict[str, Any]:
    """Write to the primary, read from every replica: {role by name, value by name, whether each refuses who has no password}."""
    import redis as library  # noqa: PLC0415 - only who asks for it

    settings: dict[str, Any] = {"port": 6379, "socket_timeout": 5, "decode_responses": True}
    strangers = [library.Redis(host=name, **settings) for name in question["members"] if question["password"]]
    refused = [_is_refused(partial(one.get, question["key"]), library.AuthenticationError) for one in strangers]
    clients = {name: library.Redis(host=name, password=question["password"], **settings) for name in question["members"]}
    primary, *_ = clients.values()
    primary.set(question["key"], question["value"])
    values = {name: _until(partial(client.get, question["key"]), question["value"]) for name, client in clients.items()}
    maximum = {name: client.config_get("maxmemory")["maxmemory"] for name, client in clients.items()}
    roles = {name: client.info("replication")["role"] for name, client in clients.items()}
    return {"roles": roles, "values": values, "maxmemory": maximum, "refused": refused}


def zookeeper(question: dict[str, Any]) -> dict[str, Any]:
    """Write through the first member, read through each: {mode by name, value by name}."""
    from kazoo.client import KazooClient  # noqa: PLC0415 - only who asks for it

    modes, values = {}, {}
    for number, name in enumerate(question["members"]):
        client = KazooClient(hosts=f"{name}:2181", timeout=10)
        client.start(timeout=20)
        if not number:
            client.ensure_path("/judged")
            client.set("/judged", question["value"].encode())
        client.sync("/judged")
        values[name] = client.get("/judged")[0].decode()
        modes[name] = next(line.split()[1] for line in client.command(b"srvr").splitlines() if line.startswith("Mode:"))
        client.stop()
        client.close()
    return {"modes": modes, "values": values}


def kafka(question: dict[str, Any]) -> dict[str, Any]:
    """Write *count* records through the first member, each acknowledged by all in sync, then read the topic."""
    import confluent_kafka  # noqa: PLC0415 - only who asks for it
    from confluent_kafka.admin import AdminClient, NewTopic  # noqa: PLC0415 - only who asks for it

    at = {"bootstrap.servers": f"{question['members'][0]}:9092", "socket.timeout.ms": 5000, "log_level": 0}
    if question.get("password"):
        at |= {**_KAFKA_LOGIN, "sasl.username": "admin", "sasl.password": question["password"]}
    admin, topic = AdminClient(at), question["topic"]
    if topic not in admin.list_topics(timeout=10).topics:
        admin.create_topics([NewTopic(topic, num_partitions=question.get("partitions", 3))])[topic].result(20)
    acknowledged: list[str] = []
    producer = confluent_kafka.Producer({**at, "acks": "all", "enable.idempotence": True, "delivery.timeout.ms": 60_000, "linger.ms": 0})

    def told(error: Any, message: Any) -> None:
        if error is None:
            acknowledged.append(message.value().decode())

    for number in range(question["count"]):
        producer.produce(topic, f"{question['value']}-{number}", on_delivery=told)
        producer.poll(0)
        time.sleep(question.get("pause", 0))
    unsent = producer.flush(60)
    known = admin.list_topics(timeout=10)
    brokers = {f"{one.host}:{one.port}" for one in known.brokers.values()}
    replicas = [sorted(one.replicas) for one in known.topics[topic].partitions.values()]
    return {"acknowledged": acknowledged, "unsent": unsent, "read": _read(at, topic), "brokers": sorted(brokers), "replicas": replicas}


def strangers(question: dict[str, Any]) -> dict[str, Any]:
    """Who of Kafka's listeners (*ports* by name) answers without a login, or is silent; and who refuses the *password* to the admin."""
    import confluent_kafka  # noqa: PLC0415 - only who asks for it
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - only who asks for it

    found: dict[str, list[str]] = {"silent": [], "answered": [], "refused": []}
    describe = bytes.fromhex("0000000e 003c 0001 00000000 ffff 00 00 02 00")  # DescribeCluster of controllers, version 1
    for name, ports in question["ports"].items():
        for port in ports:
            with socket.create_connection((name, port), timeout=10) as connection:
                connection.sendall(describe)
                try:
                    found["answered"] += [f"{name}:{port}"] * bool(connection.recv(1))
                except TimeoutError:
                    found["silent"].append(f"{name}:{port}")
        errors: list[Any] = []
        login = {"sasl.username": "admin", "sasl.password": question["password"], "error_cb": errors.append, "log_level": 0}
        client = AdminClient({**_KAFKA_LOGIN, **login, "bootstrap.servers": f"{name}:9092"})
        deadline = time.monotonic() + _PATIENCE
        while not errors and time.monotonic() < deadline:
            client.poll(0.2)
        found["refused"] += [name] * (confluent_kafka.KafkaError._AUTHENTICATION in {one.code() for one in errors})
    return found


def _read(at: dict[str, Any], topic: str) -> list[str]:
    """Every record of *topic*, up to where its partitions end now."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - only who asks for it

    consumer = Consumer({**at, "group.id": "judge", "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    partitions = [TopicPartition(topic, number, 0) for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions]
    left = sum(consumer.get_watermark_offsets(one, timeout=10)[1] for one in partitions)
    consumer.assign(partitions)
    found: list[str] = []
    deadline = time.monotonic() + _PATIENCE
    while len(found) < left and time.monotonic() < deadline:
        found += [one.value().decode() for one in consumer.consume(500, timeout=1) if one.error() is None]
    consumer.close()
    return found


def generic(question: dict[str, Any]) -> dict[str, Any]:
    """What each member says when it is called."""
    said = {}
    for name in question["members"]:
        with socket.create_connection((name, question["port"]), timeout=10) as connection, connection.makefile() as lines:
            said[name] = lines.read().strip()
    return {"said": said}


def _is_refused(ask: Callable[[], Any], how: type[Exception]) -> bool:
    try:
        ask()
    except how:
        return True
    return False


def _until(read: Callable[[], Any], wanted: Any) -> Any:
    deadline = time.monotonic() + _PATIENCE
    while (found := read()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def main() -> None:
    clients: dict[str, Callable[[dict[str, Any]], dict[str, Any]]]
    clients = {"redis": redis, "zookeeper": zookeeper, "kafka": kafka, "strangers": strangers, "generic": generic}
    answers = {name: clients[question["type"]](question) for name, question in json.loads(sys.argv[1]).items()}
    print(json.dumps(answers))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
