"""oidc-provider as the external OpenID Provider of a domain."""

import json
import subprocess
from typing import Any

from attrs import evolve
from typing_extensions import override

from rrsd.cli.login import log_in
from rrsd.cli.profile import Profile
from rrsd.cli.session import Session
from tests.interop.case import BAR, BOB, FOO, InteropCase, claims_of
from tests.interop.peers import NPM

LOGIN = "login.bar.test"
ISSUER, API = f"https://{LOGIN}", f"https://{BAR}"
ALGORITHMS = ["ES256", "RS256", "PS256", "EdDSA"]


class ExternalProvider(InteropCase):
    """`[idp] issuer` of bar.test is a stranger's program."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.place = self.stand_in(LOGIN)
        self.say("idp", issuer=ISSUER)
        self.say("identity", least_kept="1s", most_kept="1s")
        self.program = self.register("_mail")
        self.start_provider()
        self.start(self.bar)
        self.password = self.add_user(BOB)

    def start_provider(self) -> None:
        """Start oidc-provider with fresh keys."""
        job = {
            "issuer": ISSUER, "api": API, "port": self.ports[LOGIN], "algorithms": ALGORITHMS,
            "certificate": str(self.place.certificate), "key": str(self.place.key),
        }  # fmt: skip
        place, log = self.root / "provider.json", self.root / "provider.log"
        place.write_text(json.dumps(job))
        log.write_text("")
        with log.open("ab") as file:
            process = subprocess.Popen(
                ["node", str(NPM / "provider.mjs"), str(place)], stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        self.provider = process
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.until("oidc-provider listens", lambda: process.poll() is not None or "ready" in log.read_text())
        self.assertIs(process.poll(), None, log.read_text())

    def token(self, client: str = "rrsctl", resource: str = "") -> str:
        """An access token for bob."""
        text: str = self.log_in(ISSUER, BOB, self.password, client, resource)["access_token"]
        return text

    def exchanged(self, token: str) -> Any:
        """What openid-client gets for it at bar.test's STS."""
        job = {"issuer": API, "resource": f"https://{FOO}", "token": token, "kind": "access_token"}
        return self.node("exchange.mjs", self.program, **job)

    def test_every_algorithm(self) -> None:
        """Its JWT access tokens are taken by the API and exchanged at the STS, whichever of our algorithms signs."""
        for algorithm in ALGORITHMS:
            token = self.token(algorithm)
            self.assertEqual(self.api(BAR, token)[0], 200, algorithm)
            said = self.exchanged(token)
            self.assertEqual(claims_of(said["access_token"])["sub"], BOB, algorithm)
        self.did("oidc-provider", f"logged bob in; access tokens by {', '.join(ALGORITHMS)} taken by API and STS")

    def test_command_line(self) -> None:
        """rrsctl logs bob in there, reads his mailbox, and gets new tokens when the old ones end."""
        table = {f"{name}:443": f"127.0.0.1:{port}" for name, port in self.ports.items()}
        profile = Profile(user=BOB, issuer=ISSUER, api=API, roots=str(self.authority), hosts=table)
        own = Session(profile=str(self.root / "bob.json"), console=self.session.console)
        log_in(own, profile, self.password)
        self.assertEqual(own.client().messages(), [])
        before = own.keeper.load()
        assert before.tokens is not None
        own.keeper.save(evolve(before, tokens=evolve(before.tokens, expires=0.0)))
        self.assertEqual(own.client().messages(), [])
        after = own.keeper.load().tokens
        assert after is not None
        self.assertNotEqual(after.access, before.tokens.access)
        self.secrets |= {before.tokens.access, before.tokens.refresh, after.access, after.refresh}
        self.did("oidc-provider", "logged `rrsctl` in, and renewed its tokens")

    def test_tokens_for_others(self) -> None:
        """A token for another audience, and one that is no JWT, are refused by both."""
        for token in (self.token(resource="https://other.test"), self.token("opaque")):
            status, said = self.api(BAR, token)
            self.assertEqual(status, 401, said)
            self.assertIn("invalid_request", self.exchanged(token)["refused"])
        self.did("oidc-provider", "its tokens for another audience and its opaque ones were refused")

    def test_changed_keys(self) -> None:
        """After it has changed its keys the old tokens are refused and the new ones taken."""
        old = self.token()
        self.assertEqual(self.api(BAR, old)[0], 200)
        self.provider.kill()
        self.provider.wait()
        self.start_provider()
        self.until("the old key is forgotten", lambda: self.api(BAR, old)[0] == 401)
        self.assertIn("invalid_request", self.exchanged(old)["refused"])
        self.assertEqual(self.api(BAR, self.token())[0], 200)
        self.did("oidc-provider", "changed its keys: old tokens refused, new ones taken")
