"""PyJWT and jose prove everything that we sign, and refuse each of it with one claim changed."""

import json
from typing import Any

import jwt
from attrs import frozen
from cryptography.x509 import load_pem_x509_certificate
from typing_extensions import override

from tests.interop.case import BAR, BOB, FOO, InteropCase, claims_of, tampered
from tests.interop.relay import Relay, Way
from tests.processes.houses import SENDER, change

ISSUER, JWKS = f"https://{BAR}", f"https://{BAR}/jwks"
AGENT = f"_rra.{BAR}"


@frozen
class Signed:
    """A kind of token, what a verifier must be told, and one that went over the network."""

    kind: str
    typ: str
    issuer: str
    audience: str
    token: str
    is_of_client: bool = False
    required: tuple[str, ...] = ("exp", "iat", "iss", "aud", "sub")


class Signatures(InteropCase):
    """A message goes from foo.test to bar.test; relays that have every key see what is sent."""

    @override
    def setUp(self) -> None:
        super().setUp()
        agent, before = self.agent(BAR), f"foo.test = 127.0.0.1 {self.gate.port}"
        self.relays = {}
        for name, daemon, line in (
            (FOO, self.foo, before),
            (BAR, self.bar, f"bar.test = 127.0.0.1 {self.bar.port}"),
        ):
            server = (daemon.plan.certificate, daemon.plan.key)
            way = Way(name, daemon.port, server, (agent.certificate, agent.key), self.authority)
            self.relays[name] = Relay(way)
            self.addCleanup(self.relays[name].close)
            change(self.bar, line, f"{name} = 127.0.0.1 {self.relays[name].port}")
        self.start()
        self.signed = self._everything()

    def _everything(self) -> list[Signed]:
        alice, password = self.settle(SENDER), self.add_user(BOB)
        message, _ = self.send(alice, 1000)
        self.await_state(self.deliver(message)[0], "receipted")
        said = self.log_in(ISSUER, BOB, password)
        return [
            Signed("access token", "at+jwt", ISSUER, ISSUER, said["access_token"]),
            Signed("ID token", "JWT", ISSUER, "rrsctl", said["id_token"]),
            self._sent("impersonation assertion", "rrs-impersonation+jwt", BAR, AGENT, ISSUER),
            self._sent("delegation", "rrs-delegation+jwt", FOO, ISSUER, f"https://{FOO}"),
            self._sent("receipt", "rrs-receipt+jwt", FOO, AGENT, f"https://{FOO}"),
            self._introspection(said["access_token"]),
        ]

    def _introspection(self, about: str) -> Signed:
        said = self.node("tokens.mjs", self.agent(BAR), issuer=ISSUER, token=about, signed=True)
        token, typ = said["jwt"], "token-introspection+jwt"
        self.secrets.add(token)
        return Signed("introspection answer", typ, ISSUER, AGENT, token, required=("iat", "iss", "aud"))

    def _sent(self, kind: str, typ: str, to: str, issuer: str, audience: str) -> Signed:
        def there() -> list[str]:
            return [token for token in self.relays[to].tokens if jwt.get_unverified_header(token)["typ"] == typ]

        token: str = self.until(f"a {kind} was sent", there)[0]
        self.secrets.add(token)
        return Signed(kind, typ, issuer, audience, token, issuer == AGENT)

    @property
    def certificate(self) -> str:
        """The agent's certificate in PEM."""
        return self.agent(BAR).certificate.read_text()

    # --- PyJWT

    def test_pyjwt(self) -> None:
        """PyJWT: signature, issuer, audience, times; and the `typ`, which it leaves to its caller."""
        for each in self.signed:
            header, claims = self._pyjwt(each, each.token)
            self.assertEqual(header["typ"], each.typ)
            self.assertEqual(claims, claims_of(each.token))
            self.assertRaises(jwt.InvalidSignatureError, self._pyjwt, each, spoiled(each))
            self.did("PyJWT", f"proved our {each.kind}; refused a tampered one")

    def _pyjwt(self, each: Signed, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        if each.is_of_client:
            key: Any = load_pem_x509_certificate(self.certificate.encode()).public_key()
        else:
            published = self.curl(JWKS).stdout
            key = jwt.PyJWKSet.from_dict(json.loads(published))[jwt.get_unverified_header(token)["kid"]]
        found = jwt.decode_complete(
            token, key, ["ES256"], issuer=each.issuer, audience=each.audience,
            options={"require": list(each.required), "strict_aud": True},
        )  # fmt: skip
        return found["header"], found["payload"]

    # --- jose

    def test_jose(self) -> None:
        """npm jose: the same with keys that it fetches itself; the `typ` of another kind is refused."""
        others = [self.signed[-1], *self.signed[:-1]]
        tokens = [self._job(each, each.token) for each in self.signed]
        tokens += [self._job(each, spoiled(each)) for each in self.signed]
        mixed = zip(self.signed, others, strict=True)
        tokens += [{**self._job(each, each.token), "typ": other.typ} for each, other in mixed]
        said = self.node("verify.mjs", tokens=tokens)
        many = len(self.signed)
        for number, each in enumerate(self.signed):
            good, bad, wrong = said[number], said[number + many], said[number + 2 * many]
            self.assertEqual(good.get("claims"), claims_of(each.token), good)
            self.assertEqual(good["header"]["typ"], each.typ)
            self.assertEqual(bad, {"refused": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"})
            self.assertEqual(wrong, {"refused": "ERR_JWT_CLAIM_VALIDATION_FAILED"})
            self.did("jose", f"proved our {each.kind}; refused a tampered one and another typ")

    def _job(self, each: Signed, token: str) -> dict[str, Any]:
        key = {"certificate": self.certificate} if each.is_of_client else {"jwks": JWKS}
        return {"token": token, "typ": each.typ, "issuer": each.issuer, "audience": each.audience, **key}


def spoiled(each: Signed) -> str:
    """The token about somebody else, under the old signature."""
    return tampered(each.token, {**claims_of(each.token), "sub": "carol@bar.test"})
