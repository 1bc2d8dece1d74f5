"""The reference puller: one process of Python's standard library that gets files over mutual TLS, verified and durable.

It is what anybody writes in an evening, without a queue, without rights, without resuming: the speed that rrsd is
measured against. Run by `python -m bench` as a process of its own, with the folder of a job as its only argument.
"""

import hashlib
import http.client
import json
import os
import resource
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

BLOCK = 1024 * 1024


class Connection(http.client.HTTPSConnection):
    """HTTPS to a name at an address that was given."""

    def __init__(self, job: dict[str, str]) -> None:
        context = ssl.create_default_context(cafile=job["roots"])
        context.load_cert_chain(job["certificate"], job["key"])
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        super().__init__(job["name"], timeout=60, context=context)
        self._address, self._secure = ("127.0.0.1", int(job["port"])), context

    def connect(self) -> None:
        """Open the connection."""
        plain = socket.create_connection(self._address, 15)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._secure.wrap_socket(plain, server_hostname=self.host)


def pull_large(job: dict[str, str]) -> None:
    """One file: get, hash, write, fsync, rename, fsync of the folder."""
    connection, running = Connection(job), hashlib.sha256()
    path, sha256 = next(_wanted(job))
    connection.request("GET", path)
    response, block = connection.getresponse(), memoryview(bytearray(BLOCK))
    fresh = Path(job["out"], "fresh")
    with fresh.open("wb", buffering=0) as file:
        while count := response.readinto(block):
            running.update(block[:count])
            file.write(block[:count])
        os.fsync(file.fileno())
    _require(running.hexdigest() == sha256, path)
    os.rename(fresh, Path(job["out"], "done"))
    _sync(job["out"])


def pull_small(job: dict[str, str]) -> None:
    """Many files, eight threads: get, hash, write, fsync, rename, one by one."""
    wanted, lock, problems = _wanted(job), threading.Lock(), []  # type: Iterator[tuple[str, str]], threading.Lock, list[BaseException]

    def work() -> None:
        try:
            connection = Connection(job)
            while (found := _next(wanted, lock)) is not None:
                _pull_one(connection, found, job["out"])
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(int(job["threads"]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    _sync(job["out"])


def _pull_one(connection: Connection, wanted: tuple[str, str], out: str) -> None:
    path, sha256 = wanted
    connection.request("GET", path)
    data = connection.getresponse().read()
    _require(hashlib.sha256(data).hexdigest() == sha256, path)
    final = Path(out, sha256)
    with open(f"{final}.fresh", "wb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())
    os.rename(f"{final}.fresh", final)


def _next(wanted: Iterator[tuple[str, str]], lock: threading.Lock) -> tuple[str, str] | None:
    with lock:
        return next(wanted, None)


def _wanted(job: dict[str, str]) -> Iterator[tuple[str, str]]:
    for line in Path(job["wanted"]).read_text().splitlines():
        path, _, sha256 = line.partition(" ")
        yield path, sha256


def _require(is_good: bool, path: str) -> None:
    if not is_good:
        raise SystemExit(f"{path} is not what was asked for")


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main() -> None:
    """Do the job in the file named; say how long it took, what it cost, and how much memory."""
    job = json.loads(Path(sys.argv[1]).read_text())
    began, used = time.monotonic(), _cpu()
    (pull_small if "threads" in job else pull_large)(job)
    took = time.monotonic() - began
    print(json.dumps({"seconds": took, "cpu": _cpu() - used, "peak": _peak_mib()}))


if __name__ == "__main__":
    main()
