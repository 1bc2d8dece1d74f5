"""Programs that ask about tokens, end them, and prove themselves by a JWT or by what a CA issued."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from requests_oauth2client import InvalidClient, OAuth2Client, PrivateKeyJwt
from typing_extensions import override

from rrsd.drivers.keys.certificates import key_bytes
from tests.interop.case import BAR, BOB, InteropCase, Program
from tests.interop.exchange import METADATA, STS, TARGET, TYPE, NotApplicable
from tests.interop.sessions import session_of

KID = "first"
_NEW = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"


class Tokens(InteropCase):
    """bar.test's STS, a program that serves its API, and one with a key of its own."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.program = self.register("_mail", introspect="yes")
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.jwk = {**ECAlgorithm.to_jwk(self.key, as_dict=True), "kid": KID, "alg": "ES256"}
        public = {name: value for name, value in self.jwk.items() if name != "d"}
        (self.root / "jwks.json").write_text(json.dumps({"keys": [public]}))
        self.web = self.register("_web", auth="private_key_jwt", certificate="", jwks=str(self.root / "jwks.json"))
        self.partner = self._issued("partner")
        name = {"auth": "tls_client_auth", "ca": str(self.root / "partner" / "ca.pem"), "san_dns": f"partner.{BAR}"}
        self.say(f"sts.client.{self.partner.name}", audiences=STS, **name)
        self.start(self.bar)
        said = self.log_in(STS, BOB, self.add_user(BOB))
        self.token, self.refresh = said["access_token"], said["refresh_token"]
        self.secrets |= {self.refresh, self.jwk["d"]}

    def told(self, token: str, **more: Any) -> Any:
        """What openid-client is told about a token."""
        return self.node("tokens.mjs", self.program, issuer=STS, token=token, **more)

    def test_introspection(self) -> None:
        """openid-client: an active token in JSON and as a JWT whose signature it proves; a spoiled one is inactive."""
        for signed in (False, True):
            said = self.told(self.token, signed=signed)
            self.assertNotIn("refused", said)
            self.assertEqual(signed, "jwt" in said)
            self.assertEqual([said["said"][name] for name in ("active", "sub", "aud")], [True, BOB, STS])
            other = self.told(self.token[:-6] + "AAAAAA", signed=signed)
            self.assertEqual(other["said"], {"active": False})
        self.did("openid-client", "introspection in JSON, and signed (RFC 9701), which it proved by our keys")

    def test_revocation(self) -> None:
        """openid-client ends bob's login as the public client that got it: the token is inactive from then on."""
        said = self.node("tokens.mjs", issuer=STS, client="rrsctl", token=self.refresh, revoke=True)
        self.assertEqual(said, {"revoked": True})
        self.assertEqual(self.told(self.token)["said"], {"active": False})
        self.assertEqual(self.api(BAR, self.token)[0], 401)
        self.did("openid-client", "revocation: the whole login ended")

    def test_private_key_jwt(self) -> None:
        """Both clients prove themselves by a JWT for our issuer; what they get is bound to their certificate."""
        job = {"issuer": STS, "resource": TARGET, "token": self.token, "kind": "access_token"}
        private = {"assertion_key": key_bytes(self.key).decode(), "kid": KID}
        said = self.node("exchange.mjs", self.web, **job, **private)
        self.assertNotIn("refused", said)
        self.did("openid-client", "private_key_jwt (with `typ` by its option `modifyAssertion`)")
        given = {"subject_token": self.token, "subject_token_type": f"{TYPE}:access_token", "resource": TARGET}
        self._requests_client(STS).token_exchange(**given)
        # Its default audience is the endpoint: no longer taken, since another server could have asked for it.
        self.assertRaises(InvalidClient, self._requests_client(None).token_exchange, **given)
        self.did("requests-oauth2client", "private_key_jwt (for our issuer by its option `aud`)")

    def _requests_client(self, audience: str | None) -> OAuth2Client:
        auth = PrivateKeyJwt(self.web.name, self.jwk, aud=audience)
        session = session_of(self.ports, self.authority, self.web)
        more = {"session": session, "token_class": NotApplicable}
        return OAuth2Client.from_discovery_endpoint(METADATA, STS, auth=auth, **more)

    def test_authority(self) -> None:
        """What openssl issued as the program's CA proves it; another CA's certificate for the same name does not."""
        job = {"issuer": STS, "resource": TARGET, "token": self.token, "kind": "access_token"}
        said = self.node("exchange.mjs", self.partner, **job)
        self.assertNotIn("refused", said)
        self.assertIn("invalid_client", self.node("exchange.mjs", self._issued("another"), **job)["refused"])
        self.did("openssl", "the CA of a client: its certificate believed, another CA's for the same name refused")

    def _issued(self, authority: str) -> Program:
        """A certificate of such a CA; both are made here, by openssl."""
        folder = self.root / authority
        folder.mkdir()
        (folder / "extensions").write_text(f"subjectAltName=DNS:partner.{BAR}\nextendedKeyUsage=clientAuth\n")
        for command in (
            f"req -x509 {_NEW} -days 2 -subj /CN={authority} -keyout ca.key -out ca.pem",
            f"req {_NEW} -subj /OU=_partner/CN={BAR} -keyout client.key -out client.csr",
            "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -days 1 -extfile extensions -out client.pem",
        ):
            done = self.run_to_end(["openssl", *command.split()], cwd=folder)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.secrets.add((folder / "client.key").read_text().splitlines()[1])
        return Program(f"_partner.{BAR}", folder / "client.pem", folder / "client.key")
