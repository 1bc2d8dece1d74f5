"""A load generator: prepared requests over a few kept connections, as fast as they are answered, in one process.

Run by `python -m bench` as a process of its own; standard library only. The requests are lengths and octets in a file,
so that the timed part does nothing but write, wait and read. Two lines are spoken: "ready" when every connection is
open and has answered once, and the result; between them it waits for a line to begin.
"""

import json
import resource
import selectors
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Any


class Connection:
    """One kept connection with at most one request on its way."""

    def __init__(self, job: dict[str, Any], context: ssl.SSLContext) -> None:
        plain = socket.create_connection(("127.0.0.1", job["port"]), 15)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname=job["name"])
        self.socket.setblocking(False)
        self._is_head = job["is_head"]
        self._data = b""
        self.began = 0.0

    def send(self, request: bytes) -> None:
        """Write a request; it is small enough to go out at once."""
        self._data = b""
        self.began = time.perf_counter()
        self.socket.send(request)

    def status(self) -> int:
        """The status of the answer once it is whole, 0 before."""
        try:
            while data := self.socket.recv(65536):
                self._data += data
            raise SystemExit(f"the server closed a connection; it had said {self._data[:200]!r}")
        except ssl.SSLWantReadError:
            return self._status()

    def _status(self) -> int:
        head, blank, body = self._data.partition(b"\r\n\r\n")
        if not blank:
            return 0
        if not self._is_head and len(body) < _length(head):
            return 0
        return int(head[9:12])


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def drive(connections: list[Connection], requests: list[bytes]) -> tuple[dict[int, int], list[float]]:
    """Send all requests; how many answers of each status, and how long each took."""
    statuses: dict[int, int] = {}
    took: list[float] = []
    waiting = iter(requests)
    selector = selectors.DefaultSelector()
    for connection in connections:
        _begin(selector, connection, waiting)
    while selector.get_map():
        for key, _ in selector.select(30):
            status = key.data.status()
            if status:
                statuses[status] = statuses.get(status, 0) + 1
                took.append(time.perf_counter() - key.data.began)
                selector.unregister(key.data.socket)
                _begin(selector, key.data, waiting)
    return statuses, took


def _begin(selector: selectors.BaseSelector, connection: Connection, waiting: Any) -> None:
    request = next(waiting, None)
    if request is not None:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(request)


def read_requests(path: str) -> list[bytes]:
    """The requests of a file."""
    data, requests, start = Path(path).read_bytes(), [], 0
    while start < len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        requests.append(data[start + 4 : start + 4 + size])
        start += 4 + size
    return requests


def write_requests(path: Path, requests: list[bytes]) -> None:
    """Write such a file."""
    path.write_bytes(b"".join(len(each).to_bytes(4, "big") + each for each in requests))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Do the job in the file named."""
    job = json.loads(Path(sys.argv[1]).read_text())
    context = ssl.create_default_context(cafile=job["roots"])
    context.load_cert_chain(job["certificate"], job["key"])
    requests, number = read_requests(job["requests"]), job["connections"]
    connections = [Connection(job, context) for _ in range(number)]
    drive(connections, requests[:number])
    print("ready", flush=True)
    sys.stdin.readline()
    began, used = time.perf_counter(), _cpu()
    statuses, took = drive(connections, requests[number:])
    seconds, cpu = time.perf_counter() - began, _cpu() - used
    took.sort()
    result = {"seconds": seconds, "cpu": cpu, "statuses": statuses, "count": len(took)}
    print(json.dumps({**result, "p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}), flush=True)


if __name__ == "__main__":
    main()
