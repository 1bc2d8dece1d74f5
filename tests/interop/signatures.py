"""PyJWT and jose prove everything that we sign, and refuse each of it with one claim changed."""

import json
from typing import Any

import jwt
from attrs import frozen
from cryptography.x509 import load_pem_x509_certificate
from typing_extensions import override

from rrsd.core.values.instants import instant
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.keys.settings import Settings as KeySettings
from rrsd.drivers.keys.settings import Signing
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


class OtherAlgorithm(InteropCase):
    """bar.test signs with RS256, for clients that know nothing else."""

    def test_rs256(self) -> None:
        """openid-client takes the login and the signed introspection; PyJWT and jose prove both by RS256."""
        folder = self.bar.plan.folder / "keys"
        (folder / "signing.json").unlink()
        settings = KeySettings(path=str(folder), algorithm=Signing.RS256)
        Keyring(settings, lambda: instant(self.session.now())).create(self.bar.plan.client)
        self.say("keys", algorithm="RS256")
        self.start(self.bar)
        password = self.add_user(BOB)
        metadata = json.loads(self.curl(f"{ISSUER}/.well-known/oauth-authorization-server").stdout)
        for what in ("id_token", "introspection"):
            self.assertIn("RS256", metadata[f"{what}_signing_alg_values_supported"])
        said = self.log_in(ISSUER, BOB, password)
        about = {"issuer": ISSUER, "token": said["access_token"], "signed": True, "alg": "RS256"}
        answer = self.node("tokens.mjs", self.agent(BAR), **about)
        self.assertNotIn("refused", answer)
        introspection = answer["jwt"]
        self.secrets.add(introspection)
        keys = jwt.PyJWKSet.from_dict(json.loads(self.curl(JWKS).stdout))
        tokens = {ISSUER: said["access_token"], "rrsctl": said["id_token"], AGENT: introspection}
        for audience, token in tokens.items():
            key = keys[jwt.get_unverified_header(token)["kid"]]
            found = jwt.decode(token, key, ["RS256"], issuer=ISSUER, audience=audience)
            self.assertEqual(found, claims_of(token))
        wanted = {"issuer": ISSUER, "jwks": JWKS, "algorithms": ["RS256"]}
        jobs = [{"token": token, "audience": audience, **wanted} for audience, token in tokens.items()]
        for one in self.node("verify.mjs", tokens=jobs):
            self.assertEqual(one.get("header", {}).get("alg"), "RS256", one)
        for peer in ("openid-client", "PyJWT", "jose"):
            self.did(peer, "the same of a domain that signs with RS256")


def spoiled(each: Signed) -> str:
    """The token about somebody else, under the old signature."""
    return tampered(each.token, {**claims_of(each.token), "sub": "carol@bar.test"})
