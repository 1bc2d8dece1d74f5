"""An OpenID Provider with bob as its user, and a client that logs him in."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from attrs import define

from rrsd.core.proof.pkce import challenge_of
from rrsd.core.proof.tokens import prove_access
from rrsd.core.refusals import Refusal, Unproven
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.logins import User
from rrsd.core.values.peers import parse_issuer
from rrsd.core.values.tokens import VerifiedAccess, revoked_names
from rrsd.core.wire.jose import parse_jws
from rrsd.core.wire.oauth import FORM, Form, parse_form
from rrsd.roles.idp.clients import command_line, register
from rrsd.roles.idp.flow import Flow, Guards, LoginPage, Redirect
from rrsd.roles.idp.settings import Settings
from tests.support.domains import FlowCase
from tests.support.issuer import (
    START,
    ManualTime,
    MemoryLogins,
    MemoryRevocations,
    MemoryUsers,
    PlainPasswords,
    Quota,
    Serial,
    SigningDesk,
    Trail,
)

ISSUER = parse_issuer("https://id.bar.test")
API = "https://bar.test"
BOB = parse_address("bob@bar.test")
LOOPBACK = "http://127.0.0.1:41234/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 B
WEB = register("web", "The mailbox", ("https://mail.bar.test/login?from=id", "test.bar.mail:/login"))
PEER = "192.0.2.1"


def form(**values: str | None) -> Form:
    """A form with these parameters; None leaves one out."""
    body = urlencode({name: value for name, value in values.items() if value is not None})
    return parse_form(FORM, b"", body.encode())


@define(eq=False)
class Sessions:
    """Proves access tokens of the desk."""

    desk: SigningDesk
    time: ManualTime
    revocations: MemoryRevocations

    async def prove_user(self, text: str) -> VerifiedAccess:
        """What the token proves."""
        access = prove_access(parse_jws(text), self.desk.keys, ISSUER, frozenset({API}), self.time.now())
        if await self.revocations.is_revoked(*revoked_names(ISSUER, access.jti, access.family)):
            raise Unproven("revoked")
        return access


class LoginCase(FlowCase):
    """One provider; `rrsctl` logs bob in."""

    def setUp(self) -> None:
        """Bob exists, his password is "correct horse"."""
        self.time, self.desk, self.trail, self.unique = ManualTime(), SigningDesk(), Trail(), Serial()
        self.revocations = MemoryRevocations()
        self.users, self.logins, self.passwords = MemoryUsers(), MemoryLogins(), PlainPasswords()
        self.users.kept[BOB] = User(BOB, "plain:correct horse", False, START)
        self.by_address, self.by_user, self.by_failure = Quota(), Quota(), Quota()
        self.flow = self.make()

    def make(self, **changes: Any) -> Flow:
        """A provider like the one of the test, with something changed."""
        given: dict[str, Any] = {
            "issuer": ISSUER,
            "audience": API,
            "settings": Settings(),
            "clients": {client.client_id: client for client in (command_line(ISSUER), WEB)},
            "users": self.users,
            "grants_kept": self.logins,
            "passwords": self.passwords,
            "sessions": Sessions(self.desk, self.time, self.revocations),
            "revocations": self.revocations,
            "signer": self.desk.signer,
            "audit": self.trail,
            "guards": Guards(self.by_address, self.by_user, self.by_failure),
            "now": self.time.now,
            "unique": self.unique,
            "secret": b"0" * 32,
        }
        return Flow(**given | changes)

    def request(self, **changes: str | None) -> dict[str, str | None]:
        """The parameters of a good authorization request."""
        return {
            "response_type": "code", "client_id": "rrsctl", "redirect_uri": LOOPBACK, "scope": "openid offline_access",
            "state": "s&t te", "nonce": "n-1", "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256", **changes,
        }  # fmt: skip

    def page(self, **changes: str | None) -> LoginPage:
        """The login page for a request."""
        shown = self.flow.ask(form(**self.request(**changes)), PEER)
        assert isinstance(shown, LoginPage), shown
        return shown

    def sent(self, page: LoginPage, password: str = "correct horse", username: str = str(BOB)) -> LoginPage | Redirect:
        """What the page leads to when it is filled in."""
        filled = form(request=page.sealed, username=username, password=password)
        return self.run_now(self.flow.login(filled, PEER))

    def code(self, **changes: str | None) -> str:
        """A code for bob."""
        left = self.sent(self.page(**changes))
        assert isinstance(left, Redirect), left
        return self.answered(left)["code"]

    def answered(self, left: Redirect) -> dict[str, str]:
        """The parameters that go back to the client."""
        return dict(parse_qsl(urlsplit(left.uri).query))

    def redemption(self, code: str, **changes: str | None) -> Form:
        """The client's token request for a code."""
        given = {
            "grant_type": "authorization_code", "client_id": "rrsctl", "code": code, "redirect_uri": LOOPBACK,
            "code_verifier": VERIFIER,
        }  # fmt: skip
        return form(**given | changes)

    def redeemed(self, code: str, **changes: str | None) -> dict[str, Any]:
        """The tokens for a code."""
        return self.run_now(self.flow.redeem_code(self.redemption(code, **changes), None, PEER))

    def refusal(self, form: Form, kind: type[Refusal]) -> Any:
        """How a token request is refused, and that the trail has it."""
        raised = self.refuse_now(self.flow.redeem_code(form, None, PEER), kind)
        self.assertEqual((self.trail.last.outcome, self.trail.last.refusal), ("refused", raised.reason))
        return raised

    def renewed(self, token: str, **changes: str | None) -> dict[str, Any]:
        """The tokens for a refresh token."""
        return self.run_now(self.flow.refresh(self.renewal(token, **changes), None, PEER))

    def renewal(self, token: str, **changes: str | None) -> Form:
        """The client's token request for a refresh token."""
        given = {"grant_type": "refresh_token", "client_id": "rrsctl", "refresh_token": token}
        return form(**given | changes)

    def renewal_refused(self, token: str, kind: type[Refusal], **changes: str | None) -> None:
        """The refresh token is refused."""
        self.refuse_now(self.flow.refresh(self.renewal(token, **changes), None, PEER), kind)
