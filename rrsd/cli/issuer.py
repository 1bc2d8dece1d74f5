"""The user's issuer: found by WebFinger, asked for tokens (RFC 6749, RFC 7636, RFC 8414, RFC 9207)."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from attrs import define, field, frozen

from rrsd.cli.output import clean
from rrsd.cli.profile import Profile, Tokens
from rrsd.cli.transport import Line, document_of, require_good, secure_place
from rrsd.core.refusals import Malformed, Unproven
from rrsd.core.values.addresses import Address

CLIENT = "rrsctl"
SCOPES = ("openid", "offline_access", "mail")
"""What is asked for, where the issuer offers it."""
ISSUER_REL = "http://openid.net/specs/connect/1.0/issuer"


@frozen
class Asked:
    """One authorization request: where the browser goes, and what must come back."""

    url: str
    redirect: str
    state: str
    verifier: str = field(repr=False)


def find_issuer(address: Address, hosts: Mapping[str, str], roots: str) -> str:
    """The issuer that the address's domain names by WebFinger (RFC 7033).

    Raises:
        Malformed: the domain names none, or two.
    """
    origin = f"https://{address.domain}"
    line = Line(secure_place(origin, hosts, roots or None))
    query = urlencode({"resource": f"acct:{address}", "rel": ISSUER_REL})
    answer = require_good(line.ask("GET", f"/.well-known/webfinger?{query}"), f"name the issuer of {address}", origin)
    line.close()
    links = document_of(answer, origin).get("links", [])
    found = {str(link.get("href", "")) for link in links if isinstance(link, dict) and link.get("rel") == ISSUER_REL}
    if len(found) != 1:
        raise Malformed(f"{address.domain} does not name one issuer for {address}: name it with --issuer")
    return found.pop()


@define(eq=False)
class IssuerClient:
    """One issuer, as `rrsctl` talks to it."""

    issuer: str
    hosts: Mapping[str, str]
    roots: str
    _metadata: dict[str, Any] | None = field(default=None, init=False)

    @property
    def metadata(self) -> dict[str, Any]:
        """What the issuer says about itself; it must be the issuer that was asked for (RFC 8414 3.3)."""
        if self._metadata is None:
            parts = urlsplit(self.issuer)
            path = f"{parts.path.rstrip('/')}/.well-known/openid-configuration"
            line = self._line(self.issuer)
            self._metadata = document_of(
                require_good(line.ask("GET", path), "describe itself", self.issuer), self.issuer
            )
            line.close()
        if self._metadata.get("issuer") != self.issuer:
            raise Unproven(f"{self.issuer} says that it is {clean(self._metadata.get('issuer'))}: do not log in there")
        return self._metadata

    def ask(self, redirect: str, user: str, random: Callable[[int], bytes]) -> Asked:
        """A fresh authorization request with PKCE; nothing is sent yet."""
        state, verifier = _text(random(16)), _text(random(32))
        given = {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": redirect,
            "scope": self._scope(),
            "state": state,
            "code_challenge": _text(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            "login_hint": user,
        }
        url = f"{self._endpoint('authorization_endpoint')}?{urlencode(given)}"
        return Asked(url, redirect, state, verifier)

    def redeem(self, asked: Asked, code: str, now: float) -> Tokens:
        """The tokens for an authorization code."""
        return self._tokens(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": asked.redirect,
                "code_verifier": asked.verifier,
                "client_id": CLIENT,
            },
            now,
        )

    def refresh(self, refresh_token: str, now: float) -> Tokens:
        """New tokens for the old refresh token, which is used up by this."""
        return self._tokens(
            {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": CLIENT}, now, refresh_token
        )

    def revoke(self, token: str) -> None:
        """Ask for the login to be ended (RFC 7009); an issuer without such an endpoint lets it expire."""
        endpoint = self.metadata.get("revocation_endpoint")
        if isinstance(endpoint, str):
            self._post(endpoint, {"token": token, "client_id": CLIENT}, "end the login")

    def code_in(self, asked: Asked, answer: Mapping[str, str]) -> str:
        """The code in what came back to the redirect URI.

        Raises:
            Unproven: it belongs to another request or another issuer (RFC 9207), or the login was refused.
        """
        if answer.get("state") != asked.state:
            raise Unproven("the answer belongs to another login: run `rrsctl login` again")
        if answer.get("iss", self.issuer) != self.issuer:
            raise Unproven(f"the answer came from {clean(answer['iss'])}: run `rrsctl login` again")
        if "code" not in answer:
            raise Unproven(
                f"{self.issuer} did not log you in ({clean(answer.get('error', 'no reason given'))}): try again"
            )
        return answer["code"]

    def line(self, url: str) -> Line:
        """A connection to the origin of `url`."""
        return self._line(url)

    def _scope(self) -> str:
        offered = self.metadata.get("scopes_supported", SCOPES)
        return " ".join(word for word in SCOPES if word in offered)

    def _endpoint(self, name: str) -> str:
        url = self.metadata.get(name)
        if not isinstance(url, str):
            raise Malformed(f"{self.issuer} has no {name}: it cannot log users of rrsctl in")
        return url

    def _tokens(self, form: Mapping[str, str], now: float, refresh_token: str = "") -> Tokens:
        document = self._post(self._endpoint("token_endpoint"), form, "log you in")
        access, life = document.get("access_token"), document.get("expires_in", 60)
        if not isinstance(access, str) or not isinstance(life, int):
            raise Malformed(f"{self.issuer} answered without an access token: ask its administrator")
        return Tokens(access, now + life, str(document.get("refresh_token") or refresh_token))

    def _post(self, url: str, form: Mapping[str, str], what: str) -> dict[str, Any]:
        line = self._line(url)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        answer = require_good(line.ask("POST", _target(url), headers, urlencode(form).encode()), what, self.issuer)
        line.close()
        return document_of(answer, self.issuer) if answer.body else {}

    def _line(self, url: str) -> Line:
        return Line(secure_place(url, self.hosts, self.roots or None))


def issuer_of(profile: Profile) -> IssuerClient:
    """The issuer of a profile."""
    return IssuerClient(profile.issuer, profile.hosts, profile.roots)


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
