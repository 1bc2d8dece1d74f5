"""Small exchanges over kept connections, eight at once: tokens at the STS, verified requests at the RS."""

import http.client
import json
import ssl
from base64 import urlsafe_b64encode
from urllib.parse import urlencode

from attrs import define, field

from bench import readings
from bench.domains import BOB
from bench.figures import shown
from bench.hall import Hall
from bench.puller import Connection
from rrsd.cli.uploads import Stored
from rrsd.core.proof.tokens import impersonation_claims
from rrsd.core.refusals import Unavailable
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.instants import instant
from rrsd.core.values.peers import parse_issuer
from rrsd.core.values.tokens import Kind
from rrsd.core.wire.fields import ni_path
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.keys.settings import Settings as KeySettings
from rrsd.roles.rra.delegations import JWT, TOKEN_EXCHANGE

EXCHANGES, WARM = "token exchanges, 8 at once", "verified HEAD requests, 8 at once"
STS, RS, NGINX = "rrsd STS", "rrsd RS", "nginx, no token: the generator's own limit"
PROVIDER = "oidc-provider"
GOAL = 0.8  # milliseconds of processor time for an exchange
_AT_ONCE = 8


@define(eq=False)
class Calls:
    """The contest over `number` requests of each kind."""

    hall: Hall
    number: int
    _stored: Stored = field(init=False)
    _keys: Keyring = field(init=False)

    def prepare(self) -> None:
        """A small resource that bob may have, and the agent's key."""
        domains, path = self.hall.domains, self.hall.root / "letter"
        path.write_bytes(b"Dear Bob\n")
        if self.hall.nginx:
            (self.hall.nginx.www / "letter").write_bytes(path.read_bytes())
        self._stored = domains.store([path])[0]
        domains.fresh_receiver(keep=True)
        domains.deliver(domains.message([self._stored]))
        domains.wait(1, 60.0)
        settings = KeySettings(path=str(domains.bar.plan.folder / "keys"))
        self._keys = Keyring(settings, lambda: instant(domains.session.now()))
        self._keys.reload()
        self._warm_up()

    def run(self) -> None:
        """Everybody once."""
        self._exchange()
        if self.hall.provider is not None:
            self._exchange_elsewhere()
        self._ask_rs()
        if self.hall.nginx is not None:
            self._ask_nginx()

    def _warm_up(self) -> None:
        """Node compiles what it has seen often; and it does what it is measured for: nothing passes twice."""
        other = self.hall.provider
        if other is not None:
            place, requests = (other.name, other.port), self._exchanges()
            self.hall.loaded(place, [other.pid], requests, _AT_ONCE)
            again = self.hall.loaded(place, [other.pid], requests[: 2 * _AT_ONCE], _AT_ONCE)
            if again["statuses"] != {"400": _AT_ONCE}:
                raise Unavailable(f"oidc-provider takes an assertion twice: {again['statuses']}")

    def _exchanges(self) -> list[bytes]:
        return [self._exchange_request() for _ in range(self.number + _AT_ONCE)]

    def _exchange(self) -> None:
        bar = self.hall.domains.bar
        self._measure(EXCHANGES, STS, (bar.name, bar.port), [bar.pid], self._exchanges())

    def _exchange_elsewhere(self) -> None:
        other = self.hall.provider
        if other is not None:
            self._measure(EXCHANGES, PROVIDER, (other.name, other.port), [other.pid], self._exchanges())

    def _ask_rs(self) -> None:
        foo = self.hall.domains.foo
        request = _head(foo.name, ni_path(self._stored.digest), self._delegation())
        self._measure(WARM, RS, (foo.name, foo.port), [foo.pid], [request] * (self.number + _AT_ONCE))

    def _ask_nginx(self) -> None:
        nginx = self.hall.nginx
        if nginx is not None:
            requests = [_head(nginx.name, "/letter", "")] * (self.number + _AT_ONCE)
            self._measure(WARM, NGINX, (nginx.name, nginx.port), readings.family(nginx.pid), requests)

    def _measure(
        self, contest: str, contestant: str, place: tuple[str, int], pids: list[int], requests: list[bytes]
    ) -> None:
        readings.settle()
        said = self.hall.loaded(place, pids, requests, _AT_ONCE)
        count = said["count"]
        if said["statuses"] != {"200": count}:
            raise Unavailable(f"{contestant} did not answer 200 to everything: {said['statuses']}")
        measured = {
            "rate": (count / said["seconds"], "/s"),
            "processor time, server": (said["served"] / count * 1000, "ms each"),
            "processor time, generator": (said["cpu"] / count * 1000, "ms each"),
            "half of them within": (said["p50"] * 1000, "ms"),
            "99 of 100 within": (said["p99"] * 1000, "ms"),
        }
        self.hall.sheet.add(contest, contestant, measured)
        self.hall.say(f"{contest}: {contestant} {count / said['seconds']:.0f}/s")

    def _exchange_request(self) -> bytes:
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "client_id": str(self._keys.agent.certificate.client),
            "subject_token": self._assertion(),
            "subject_token_type": JWT,
            "requested_token_type": JWT,
            "resource": self.hall.domains.foo.origin,
        }
        body = urlencode(form).encode()
        head = (
            f"POST /token HTTP/1.1\r\nHost: {self.hall.domains.bar.name}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _assertion(self) -> str:
        agent, domains = self._keys.agent, self.hall.domains
        certificate = agent.certificate
        if certificate.client is None:
            raise Unavailable("the agent's certificate names no client")
        unique = urlsafe_b64encode(domains.session.random(16)).rstrip(b"=").decode()
        now, issuer = instant(domains.session.now()), parse_issuer(domains.bar.origin)
        claims = impersonation_claims(certificate.client, parse_address(BOB), issuer, certificate.x5t, now, unique)
        return agent.sign(Kind.IMPERSONATION, claims)

    def _delegation(self) -> str:
        """A fresh one; it outlives one run."""
        domains = self.hall.domains
        job = {"roots": str(domains.roots), "certificate": str(domains.certificate), "key": str(domains.key)}
        connection = Connection({**job, "name": domains.bar.name, "port": str(domains.bar.port)})
        _, _, body = self._exchange_request().partition(b"\r\n\r\n")
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            connection.request("POST", "/token", body, kind)
            token: str = json.loads(connection.getresponse().read())["access_token"]
        except (OSError, http.client.HTTPException, ssl.SSLError, KeyError) as problem:
            raise Unavailable(f"no delegation from bar.test: {type(problem).__name__}") from None
        finally:
            connection.close()
        return token

    def judge(self) -> None:
        """The goal for an exchange, and one sentence each."""
        spent = self.hall.sheet.find(EXCHANGES, STS, "processor time, server")
        if spent:
            found = f"{shown(spent.median)} ms by medians"
            self.hall.sheet.judge(f"a token exchange: {GOAL} ms of processor time", found, spent.median <= GOAL)
        for contest, who in ((EXCHANGES, STS), (EXCHANGES, PROVIDER), (WARM, RS)):
            rate, cpu = (self.hall.sheet.find(contest, who, each) for each in ("rate", "processor time, server"))
            if rate and cpu:
                found = f"{shown(rate.median)}/s by medians, {shown(cpu.median)} ms of its processor time each"
                self.hall.sheet.notes.append(f"{contest}: {who} {found}.")


def _head(host: str, path: str, token: str) -> bytes:
    lines = [f"HEAD {path} HTTP/1.1", f"Host: {host}", *([f"Authorization: Bearer {token}"] if token else [])]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
