"""Clients that write all the time through members' names, run inside the lab's namespaces: `writer.py FILE NAME…`.

Each writes one number after the other to a Redis server and, once that is acknowledged, a line of JSON to FILE: the name, the number, the
monotonic seconds at which it was asked for and acknowledged, and which process acknowledged it. They end when FILE is gone.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import redis


def write(name: str, file: Path, lock: threading.Lock) -> None:
    number = 0
    while file.exists():
        client: Any = redis.Redis(host=name, socket_timeout=1.0, socket_connect_timeout=1.0, retry=None, decode_responses=True)
        try:
            process = client.info("server")["run_id"]
            while file.exists():
                number += 1
                asked = time.monotonic()
                client.sadd("acknowledged", number)
                line = {"name": name, "number": number, "asked": asked, "acknowledged": time.monotonic(), "process": process}
                with lock, file.open("r+") as out:
                    out.seek(0, 2)
                    out.write(json.dumps(line) + "\n")
                time.sleep(0.05)
        except (redis.RedisError, OSError):
            time.sleep(0.2)
        finally:
            client.close()


def main() -> None:
    file, lock = Path(sys.argv[1]), threading.Lock()
    file.touch()
    clients = [threading.Thread(target=write, args=(name, file, lock)) for name in sys.argv[2:]]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


if __name__ == "__main__":
    main()
