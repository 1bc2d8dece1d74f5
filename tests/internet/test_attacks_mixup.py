"""C-07: a domain's published metadata names somebody else's token endpoint; the agent proves itself only at home."""

import json

from attrs import evolve

from rrsd.config.settings import Settings
from rrsd.core.values.addresses import parse_client_identifier, parse_domain
from rrsd.roles.sts.settings import ClientSettings
from tests.internet.test_attacks_introductions import METADATA, IntroductionCase, page
from tests.support.forgery import exchange_form, impersonation


class MixUp(IntroductionCase):
    """evil.test's agent is registered at honest.test too, and may speak for its own users there."""

    def setUp(self) -> None:
        """The honest token service takes the same certificate and the same key."""
        super().setUp()
        path = self.evil.plan.folder / "keys" / "client.pem"

        def change(settings: Settings) -> Settings:
            entry = ClientSettings(
                parse_client_identifier("_rra.evil.test"),
                certificate=(str(path),),
                impersonate=(parse_domain("evil.test"),),
            )
            return evolve(settings, sts=evolve(settings.sts, clients=(entry,)))

        self.honest = self.world.domain("honest.test", change)

    def test_c07_the_agent_proves_itself_at_home(self) -> None:
        """Where its own domain's metadata says that the token endpoint is elsewhere, the agent does not go there; what
        it signs is for its own issuer by name."""
        publisher = self.publish()
        good = json.loads(self.good(self.evil)[METADATA][2])
        for target in ("https://honest.test/token", "https://honest.test/token?issuer=evil"):
            with self.subTest(target=target):
                publisher.pages[METADATA] = page({**good, "token_endpoint": target})
                self.world.advance(61, 61)
                name = f"{len(target)}@foo.test"
                self.evil.deliver(self.foo.send(["eve@evil.test"], {"a": name.encode()}, name), "eve@evil.test")
                self.world.advance(5)
                self.assertEqual(self.honest.trail.lines, [])
                self.assertEqual({asked for asked in publisher.asked if "token" in asked}, {"/token"})
                signed = {line["claims"]["aud"] for line in self.evil.trail.of("impersonate")}
                self.assertEqual(signed, {"https://evil.test"})

    def test_c07_relayed(self) -> None:
        """An assertion that evil.test's token service got and passes on is for evil.test and not for honest.test."""
        line = self.agent_line(self.honest, self.evil)
        for subject in ("eve@evil.test", "eve@honest.test"):
            token = impersonation(self.evil).text(sub=subject)
            response = line.form("/token", exchange_form(self.evil, self.foo, token))
            self.require_refused(self.honest, response, 400, "invalid_request", "malformed", token)
