"""HTTP/1.1 to one place: a unix socket, or an https origin with a host table for closed networks."""

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

from attrs import define, field, frozen
from typing_extensions import override

from rrsd.cli.exits import ADVICE
from rrsd.cli.output import clean
from rrsd.core.refusals import (
    ALL,
    Conflict,
    Damaged,
    Forbidden,
    Malformed,
    NoSpace,
    Refusal,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unknown,
    Unproven,
    Unsatisfiable,
    Unsupported,
    Withdrawn,
)
from rrsd.core.values.calls import Answer

MOST_ANSWER = 64 * 1024 * 1024
CONNECT_WITHIN = 15.0
SILENT_WITHIN = 90.0  # longer than the daemon's longest Prefer: wait

_BY_REASON: dict[str, type[Refusal]] = {refusal.reason: refusal for refusal in ALL}
_BY_STATUS: dict[int, type[Refusal]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: Unknown,
    405: Unsupported,
    409: Conflict,
    410: Withdrawn,
    413: TooLarge,
    415: Unsupported,
    416: Unsatisfiable,
    429: TooMany,
    507: NoSpace,
}


@frozen
class Place:
    """Somewhere that answers HTTP: `name` is what people call it, `connect` makes a new connection to it."""

    name: str
    connect: Callable[[], http.client.HTTPConnection]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SILENT_WITHIN)
        self._path = path

    @override
    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_WITHIN)
        self.sock.connect(self._path)
        self.sock.settimeout(SILENT_WITHIN)


class SecureConnection(http.client.HTTPConnection):
    """HTTPS to a name that is checked as a name, at an address that the host table may give."""

    def __init__(self, host: str, port: int, address: tuple[str, int], context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=SILENT_WITHIN)
        self.default_port = http.client.HTTPS_PORT
        self._name, self._address, self._context = host, address, context

    @override
    def connect(self) -> None:
        """Open the socket and prove the server's name."""
        plain = socket.create_connection(self._address, CONNECT_WITHIN)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._context.wrap_socket(plain, server_hostname=self._name)
        self.sock.settimeout(SILENT_WITHIN)


def unix_place(path: str) -> Place:
    """The daemon behind a unix socket."""
    return Place(f"the daemon at {path}", lambda: UnixConnection(path))


def secure_place(origin: str, hosts: Mapping[str, str], roots: str | None) -> Place:
    """An https origin; `hosts` maps "name:port" to "address:port", `roots` is a file of more trusted roots.

    Raises:
        Malformed: the origin is not https, or the file of roots cannot be read.
    """
    parts = urlsplit(origin)
    if parts.scheme != "https" or not parts.hostname:
        raise Malformed(f"{clean(origin)} is no https address: write https://…")
    host, port = parts.hostname, parts.port or 443
    address = _address(hosts.get(f"{host}:{port}"), (host, port))
    context = _context(roots)
    return Place(parts.netloc, lambda: SecureConnection(host, port, address, context))


def _address(text: str | None, default: tuple[str, int]) -> tuple[str, int]:
    if text is None:
        return default
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise Malformed(f"{clean(text)!r} in the host table is no address: write 127.0.0.1:18443")
    return host.strip("[]"), int(port)


def _context(roots: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if roots:
        try:
            context.load_verify_locations(roots)
        except (OSError, ssl.SSLError):
            raise Malformed(f"{roots}: no file of PEM certificates: name another one with --ca") from None
    return context


@define(eq=False)
class Line:
    """A kept connection to one place. Every failure to talk becomes a refusal that says what to do."""

    place: Place
    _connection: http.client.HTTPConnection | None = field(default=None, init=False)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """The whole answer, whatever its status.

        Raises:
            Unavailable: there is no connection, or it broke.
            Unproven: the server's certificate is not trusted.
            TooLarge: the answer is larger than anything asked for here.
        """
        with self.opened(method, target, headers, body) as response:
            data = response.read(MOST_ANSWER + 1)
            if len(data) > MOST_ANSWER:
                raise TooLarge(f"{self.place.name} answered with more than anyone asked for: is it an rrsd?")
            if method != "HEAD" and response.length:
                raise http.client.IncompleteRead(data, response.length)
        return Answer(response.status, _headers(response), data)

    @contextmanager
    def opened(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer's head; its body is read by the caller, and what breaks while reading is Unavailable too."""
        try:
            yield self._send(method, target, dict(headers or {}), body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            self._refuse(error)
        except Refusal:
            self.close()
            raise

    def close(self) -> None:
        """Forget the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> http.client.HTTPResponse:
        kept = self._connection is not None
        try:
            return self._send_once(method, target, headers, body)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            # The server may close a kept connection at any time; nothing of this request was answered.
            if not kept or method not in {"GET", "HEAD", "PATCH"}:
                raise
            return self._send_once(method, target, headers, body)

    def _send_once(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None
    ) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = self.place.connect()
        self._connection.request(method, target, body=body, headers=headers)
        return self._connection.getresponse()

    def _refuse(self, error: Exception) -> NoReturn:
        name = self.place.name
        if isinstance(error, ssl.SSLCertVerificationError):
            raise Unproven(
                f"the certificate of {name} is not trusted ({error.verify_message}): "
                "log in with --ca FILE if the domain has its own authority"
            ) from None
        if isinstance(error, PermissionError):
            raise Forbidden(f"{name} may not be used by you: run this as its user or its group") from None
        if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
            raise Unavailable(f"{name} is not running: start it, or name another with --config or login") from None
        if isinstance(error, TimeoutError):
            raise Unavailable(f"{name} does not answer: try again later") from None
        raise Unavailable(f"{name} cannot be talked to ({clean(error) or type(error).__name__}): try again") from None


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): ", ".join(response.headers.get_all(name, [])) for name in response.headers}


def require_good(answer: Answer, what: str, who: str) -> Answer:
    """`answer` if its status is a success.

    Raises:
        Refusal: the one that `who` named as the reason, or that the status means; `what` was asked for.
    """
    if answer.status < 400:
        return answer
    kind = _BY_REASON.get(_said(answer, "reason")) or _BY_STATUS.get(answer.status)
    if kind is None:
        kind = Unavailable if answer.status >= 500 else Malformed
    detail = _said(answer, "detail")
    fact = f"{kind.reason}: {detail}" if detail else kind.reason
    refusal = kind(f"{who} will not {what} ({fact}): {ADVICE[kind]}")
    if isinstance(refusal, (TooMany, Unavailable)):
        refusal.retry_after = _retry_after(answer.headers.get("retry-after", ""), refusal.retry_after)
    raise refusal


def _said(answer: Answer, name: str) -> str:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return ""
    return str(document.get(name, ""))[:500] if isinstance(document, dict) else ""


def _retry_after(text: str, default: int) -> int:
    return min(max(int(text), 1), 3600) if text.isascii() and text.isdigit() else default


def document_of(answer: Answer, who: str) -> dict[str, Any]:
    """The JSON object in a good answer.

    Raises:
        Damaged: there is none; `who` is probably something else than was thought.
    """
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Damaged(f"{who} did not answer with a JSON object: is it an rrsd?")
    return document
