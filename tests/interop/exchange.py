"""Published OAuth clients exchange tokens at our STS: found by its RFC 8414 metadata, proved by their certificate."""

import time
import uuid
from typing import Any, ClassVar

import jwt
from authlib.integrations.requests_client import OAuth2Session
from requests_oauth2client import BearerToken, InvalidClient, InvalidRequest, OAuth2Client, PublicApp
from typing_extensions import override

from tests.interop.case import BAR, BOB, FOO, InteropCase, Program, claims_of
from tests.interop.sessions import session_of

STS, TARGET = f"https://{BAR}", f"https://{FOO}"
METADATA = f"{STS}/.well-known/oauth-authorization-server"
TYPE = "urn:ietf:params:oauth:token-type"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class NotApplicable(BearerToken):
    """What a delegation is to a client: no access token (RFC 8693 2.2.1). `token_class` is the library's own option."""

    TOKEN_TYPE: ClassVar[str] = "N_A"


class Exchange(InteropCase):
    """bar.test's STS and programs that it has registered."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.program, self.stranger = self.register("_mail"), self._unregistered()
        self.start(self.bar)
        self.password = self.add_user(BOB)

    def _unregistered(self) -> Program:
        text = self.bar.plan.config.read_text()
        made = self.register("_stranger")
        self.bar.plan.config.write_text(text)
        return made

    def user_token(self) -> str:
        """bob's access token of bar.test's own provider, which openid-client got."""
        said = self.log_in(STS, BOB, self.password)
        self.assertEqual(said["token_type"], "bearer")
        self.assertEqual(claims_of(said["id_token"])["sub"], BOB)
        self.did("openid-client", "authorization code with PKCE at our provider; proved the ID token and `iss`")
        text: str = said["access_token"]
        return text

    def require_delegation(self, said: Any) -> None:
        """Whoever asked got what the protocol says."""
        self.assertEqual(said["issued_token_type"], f"{TYPE}:jwt")
        self.assertEqual(said["token_type"].upper(), "N_A")
        claims = claims_of(said["access_token"])
        self.assertEqual([claims["iss"], claims["aud"], claims["sub"]], [STS, TARGET, BOB])
        self.assertEqual(claims["act"], {"sub": self.program.name})
        self.assertEqual(claims["cnf"], {"x5t#S256": self.program.x5t})

    def assertion(self, program: Program) -> str:
        """An impersonation assertion that PyJWT signs."""
        now = int(time.time_ns() / 1e9)
        claims = {
            "iss": program.name, "sub": BOB, "aud": STS, "cnf": {"x5t#S256": program.x5t}, "jti": str(uuid.uuid4()),
            "iat": now, "nbf": now, "exp": now + 60,
        }  # fmt: skip
        token: str = jwt.encode(claims, program.key.read_text(), "ES256", {"typ": "rrs-impersonation+jwt"})
        return token

    # --- openid-client

    def test_openid_client(self) -> None:
        """npm openid-client: both kinds of subject token; a certificate that is not registered, and reuse, refused."""
        for more, what in (
            ({"user": BOB}, "2-legged, assertion by jose"),
            ({"token": self.user_token(), "kind": "access_token"}, "3-legged"),
        ):
            said = self._openid_client(self.program, **more)
            self.assertNotIn("refused", said)
            self.assertEqual(said["endpoint"], f"{STS}/token")
            self.require_delegation(said)
            self.did("openid-client", f"token exchange over mTLS, {what}")
        self.did("jose", "signed an impersonation assertion that our STS believes")
        used = self.assertion(self.program)
        self.assertNotIn("refused", self._openid_client(self.program, token=used))
        self.assertIn("invalid_request", self._openid_client(self.program, token=used)["refused"])
        self.assertIn("invalid_client", self._openid_client(self.stranger, user=BOB)["refused"])
        self.did("openid-client", "refused: an assertion that comes twice, a certificate that is not registered")

    def _openid_client(self, program: Program, **more: str) -> Any:
        return self.node("exchange.mjs", program, issuer=STS, resource=TARGET, **more)

    # --- requests-oauth2client

    def _requests_client(self, program: Program) -> OAuth2Client:
        session = session_of(self.ports, self.authority, program)
        return OAuth2Client.from_discovery_endpoint(
            METADATA, STS, auth=PublicApp(program.name), session=session, token_class=NotApplicable
        )

    def test_requests_oauth2client(self) -> None:
        """PyPI requests-oauth2client: the same; `N_A` by its option `token_class`."""
        client = self._requests_client(self.program)
        for token, kind, what in self._subjects():
            said = client.token_exchange(
                subject_token=token, subject_token_type=kind, requested_token_type=f"{TYPE}:jwt", resource=TARGET
            )
            self.require_delegation({**said.as_dict(), "token_type": said.token_type})
            self.did("requests-oauth2client", f"token exchange over mTLS, {what}")
        given = {"subject_token_type": f"{TYPE}:jwt", "resource": TARGET}
        self.assertRaises(InvalidRequest, client.token_exchange, subject_token="x.y.z", **given)
        stranger, token = self._requests_client(self.stranger), self.assertion(self.stranger)
        self.assertRaises(InvalidClient, stranger.token_exchange, subject_token=token, **given)
        self.did("requests-oauth2client", "told invalid_client and invalid_request from each other")

    def _subjects(self) -> tuple[tuple[str, str, str], ...]:
        return (
            (self.assertion(self.program), f"{TYPE}:jwt", "2-legged, assertion by PyJWT"),
            (self.user_token(), f"{TYPE}:access_token", "3-legged"),
        )

    # --- Authlib

    def test_authlib(self) -> None:
        """PyPI Authlib: the same, with its client for `requests`."""
        for token, kind, what in self._subjects():
            client = OAuth2Session(self.program.name, token_endpoint_auth_method="none")
            plain = session_of(self.ports, self.authority, self.program)
            client.adapters, client.verify, client.cert = plain.adapters, plain.verify, plain.cert
            client.trust_env = False
            endpoint = client.get(METADATA, withhold_token=True).json()["token_endpoint"]
            said = client.fetch_token(
                endpoint, grant_type=EXCHANGE, subject_token=token, subject_token_type=kind, resource=TARGET
            )
            self.require_delegation(said)
            self.did("Authlib", f"token exchange over mTLS, {what}")
        self.did("PyJWT", "signed an impersonation assertion that our STS believes")
