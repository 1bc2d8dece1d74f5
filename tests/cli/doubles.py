"""Stand-ins for a daemon: real sockets, real TLS, answers from a table."""

import json
import os
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from typing_extensions import override

from rrsd.cli.output import Console
from rrsd.cli.profile import Keeper, Profile, Tokens
from rrsd.cli.session import Session
from rrsd.drivers.keys.certificates import create_development_authority

NOW = 1_800_000_000.0


@frozen
class Asked:
    """One request that came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Without the query."""
        return self.target.partition("?")[0]


@frozen
class Reply:
    """One answer; `cut` sends so many bytes of the body only and breaks the connection."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(factory=dict)
    cut: int | None = None


def reply(document: object, status: int = 200, **headers: str) -> Reply:
    """A JSON answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json", **named})


def refusal(reason: str, status: int, **headers: str) -> Reply:
    """What a daemon says when it refuses."""
    return reply({"error": "invalid_request", "reason": reason}, status, **headers)


Answering = Callable[[Asked], Reply]


@define(eq=False)
class Table:
    """Answers by method and path, and every request that came."""

    answers: dict[tuple[str, str], Answering | Reply | list[Reply]] = field(factory=dict)
    asked: list[Asked] = field(factory=list)

    def on(self, method: str, path: str, answer: Answering | Reply | list[Reply]) -> None:
        """What is answered there; a list is answered one by one, the last one for ever."""
        self.answers[method, path] = answer

    def answer(self, asked: Asked) -> Reply:
        """The answer to one request."""
        self.asked.append(asked)
        found = self.answers.get((asked.method, asked.path), refusal("unknown", 404))
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found if isinstance(found, Reply) else found(asked)


def _handler(table: Table, is_tcp: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = is_tcp

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            given = table.answer(Asked(self.command, self.path, headers, self.rfile.read(length)))
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            if given.status != 204 and "Content-Length" not in given.headers:
                self.send_header("Content-Length", str(len(given.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(given.body if given.cut is None else given.body[: given.cut])
            self.close_connection = self.close_connection or given.cut is not None

        do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 (the standard library calls them so)

        @override
        def address_string(self) -> str:
            return "test"

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    return Handler


class _Quiet:
    """A server that does not complain about clients that go away."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing."""


class _Unix(_Quiet, socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    pass


class _Tcp(_Quiet, socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Run `server` in a thread."""
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def unix_daemon(path: str, table: Table) -> Iterator[None]:
    """A daemon's administrator endpoint at `path`."""
    with serving(_Unix(path, _handler(table, False))):
        yield
    os.unlink(path)


@contextmanager
def secure_daemon(folder: Path, table: Table, *names: str) -> Iterator[Profile]:
    """An https daemon of foo.test; the profile with which alice finds it."""
    ca, port_file = folder / "ca.pem", folder / "server.pem"
    authority = create_development_authority(datetime.now(UTC))  # noqa: TID251 (OpenSSL looks at the real clock)
    certificate, key = authority.issue(names or ("foo.test",), datetime.now(UTC))  # noqa: TID251
    ca.write_bytes(authority.certificate_pem)
    port_file.write_bytes(certificate + key)
    server = _Tcp(("127.0.0.1", 0), _handler(table, True))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(port_file)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    port = server.server_address[1]
    with serving(server):
        hosts = {"foo.test:443": f"127.0.0.1:{port}"}
        yield Profile("alice@foo.test", "https://foo.test", "https://foo.test", str(ca), hosts)


@define(eq=False)
class Bench:
    """One `rrsctl` on a bench: what it wrote, how long it slept, and the time."""

    session: Session
    out: StringIO
    err: StringIO
    slept: list[float]

    @property
    def document(self) -> Any:
        """The JSON result."""
        return json.loads(self.out.getvalue())


def bench(folder: Path, given: bytes = b"", is_json: bool = False, **environ: str) -> Bench:
    """A session whose profile, clock and standard input are the test's own."""
    out, err, slept = StringIO(), StringIO(), list[float]()
    session = Session(
        profile=str(folder / "client.json"),
        console=Console(out, err, is_json),
        input=BytesIO(given),
        environ=environ,
        now=lambda: NOW,
        monotonic=lambda: 0.0,
        sleep=slept.append,
        random=lambda number: b"\x07" * number,
    )
    return Bench(session, out, err, slept)


def log_in(folder: Path, profile: Profile, expires: float = NOW + 600) -> None:
    """Save the profile with tokens."""
    from attrs import evolve

    Keeper(folder / "client.json").save(evolve(profile, tokens=Tokens("access-1", expires, "refresh-1")))
