"""Policy over mutual TLS: what the operator wrote decides after every proof, and what is refused tells nothing."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve

from rrsd.config.settings import Settings
from rrsd.core.refusals import Forbidden, Malformed
from rrsd.core.values.addresses import parse_client_identifier, parse_domain
from rrsd.core.values.digests import digest_of
from rrsd.core.values.records import Verdict
from rrsd.core.wire.fields import chunks_path, ni_path
from rrsd.core.wire.texts import render_client_keys
from rrsd.drivers.policy.settings import PairSettings
from rrsd.roles.identity.settings import Method
from tests.support.attackers import AttackCase, Response
from tests.support.examples import documented
from tests.support.forgery import agent_of, delegation, exchange_form, impersonation, pair_of, receipt
from tests.support.world import MemoryDomain

REFUSED = (403, "access_denied", "forbidden")
SMALL = '@id("small-only") forbid (principal is User, action, resource is Grant) when { resource.size > 100 };\n'
EXAMPLES = documented()


class PolicyCase(AttackCase):
    """foo.test, and a domain like it whose operator wrote policies."""

    def setUp(self) -> None:
        """The operator's file is there and empty."""
        super().setUp()
        self.file = Path(self.mktemp())
        self.write("")
        self.own = self.domain("own.test")

    def domain(self, name: str, change: Callable[[Settings], Settings] = lambda settings: settings) -> MemoryDomain:
        """A domain with the file; alice there granted bob what she granted him at foo.test."""

        def with_file(settings: Settings) -> Settings:
            return change(evolve(settings, policy=evolve(settings.policy, path=str(self.file))))

        made = self.world.domain(name, with_file)
        made.grant(self.DATA, "bob@bar.test")
        return made

    def write(self, *policies: str) -> None:
        """Replace the operator's file."""
        self.file.write_text("\n".join(policies))
        self.file.chmod(0o644)

    def hold(self, *policies: str, domain: MemoryDomain | None = None) -> None:
        """Let these policies hold, as SIGHUP does."""
        self.write(*policies)
        (domain or self.own).whole.means.doors.reload()

    def fetch(self, domain: MemoryDomain | None = None, target: str = "", user: str = "bob@bar.test") -> Response:
        """What bar.test's agent gets for a user, over a new connection."""
        server = domain or self.own
        server.trail.lines.clear()
        token = delegation(self.bar, server, user).text()
        return self.agent_line(server).ask("GET", target or self.target, Authorization=f"Bearer {token}")

    def refuse(self, policy: str, **options: Any) -> None:
        """Refused as what does not exist, and the trail names the policy."""
        response = self.fetch(**options)
        server = options.get("domain") or self.own
        self.assertEqual(server.trail.lines[-1].get("policy"), policy)
        self.require_refused(server, response, *REFUSED)

    def permit(self, policy: str = "grant-names-user", **options: Any) -> None:
        """Granted, and the trail names the policy."""
        response = self.fetch(**options)
        self.assertEqual((response.status, response.body), (200, self.DATA))
        (line,) = (options.get("domain") or self.own).trail.lines
        self.assertEqual((line["outcome"], line["policy"]), ("granted", policy))

    def until(self, hour: int) -> None:
        """Let time pass until the next time that it is that hour, UTC."""
        now: datetime = self.world.now
        then = now.astimezone(UTC).replace(hour=hour, minute=5, second=0, microsecond=0)
        wait = (then - now).total_seconds() % 86400
        self.world.advance(wait, wait / 4)


class Operators(PolicyCase):
    """What an operator may want, as the page for operators writes it."""

    def test_size(self) -> None:
        """Too large is refused to everybody; the same 403 as for what is not there, byte for byte."""
        self.permit()
        self.hold(EXAMPLES["no-huge-files"].replace("10737418240", "1000"))
        self.refuse("no-huge-files")
        refused, missing = self.fetch(), self.fetch(target=ni_path(digest_of(b"nothing")))
        heads = [{name: text for name, text in each.headers.items() if name != "date"} for each in (refused, missing)]
        self.assertEqual((refused.status, heads[0], refused.body), (403, heads[1], missing.body))

    def test_hours(self) -> None:
        """By day nothing large, at night everything; the operator's clock is two hours before UTC."""
        self.hold(EXAMPLES["large-files-at-night"].replace("1073741824", "1000"))
        self.until(12)
        self.refuse("large-files-at-night")
        self.until(23)
        self.permit()
        self.until(5)
        self.refuse("large-files-at-night")

    def test_domain_and_client(self) -> None:
        """Nothing for a domain, or a client, and everything for the others."""
        for word in ('"evil.test"', "_rra.evil.test"):
            self.hold(EXAMPLES["not-evil-test"].replace(word, word.replace("evil", "bar")))
            self.refuse("not-evil-test")
            self.refuse("not-evil-test", target=chunks_path(self.digest))
        self.hold(EXAMPLES["not-evil-test"])
        self.permit()

    def test_sender_and_strength(self) -> None:
        """One sender's resources go to proofs under DNSSEC only."""
        careful = EXAMPLES["alice-is-careful"].replace("foo.test", "own.test")
        self.hold(careful)
        self.refuse("alice-is-careful")
        self.hold(careful.replace('"dnssec"', '"tls"'))
        self.permit()

    def test_receipts(self) -> None:
        """What may not be acknowledged is not, although the bytes may be had."""
        self.hold(SMALL.replace("action,", 'action == Action::"acknowledge",'))
        self.permit()
        self.own.trail.lines.clear()
        word, token = receipt(self.bar, self.own, self.DATA).text(), delegation(self.bar, self.own).text()
        headers = {"Authorization": f"Bearer {token}", "Content_Type": "application/jose"}
        response = self.agent_line(self.own).ask("POST", "/rrs/receipts", word.encode(), **headers)
        self.assertEqual(self.own.trail.lines[-1]["policy"], "small-only")
        self.require_refused(self.own, response, *REFUSED, token, word)

    def test_every_request_is_decided_anew(self) -> None:
        """A delegation that is believed for a minute meets the policies of now (S-20)."""
        token, line = delegation(self.bar, self.own).text(), self.agent_line(self.own)
        self.assertEqual(line.ask("GET", self.target, Authorization=f"Bearer {token}").status, 200)
        self.hold(SMALL)
        self.assertEqual(line.ask("GET", self.target, Authorization=f"Bearer {token}").status, 403)

    def test_s19_ended_grants_of_those_who_may_not(self) -> None:
        """410 is for whom policy would have let in; others do not learn that there was a grant."""
        self.world.result(self.own.store.grants.withdraw(self.own.address("alice"), "1@foo.test"))
        self.assertEqual(self.fetch().status, 410)
        self.assertEqual(self.own.trail.lines[-1]["policy"], "grant-names-user")
        self.hold(SMALL)
        self.refuse("small-only")

    def test_a_permit_opens_no_grant_of_others(self) -> None:
        """Even a policy that permits everything to everybody: only grants that name the user are asked about (S-12)."""
        self.own.grant(b"for carol", "carol@bar.test", message_id="2@foo.test")
        self.hold('@id("all") permit (principal, action, resource);')
        self.permit("all grant-names-user")
        response = self.fetch(target=ni_path(digest_of(b"for carol")))
        self.require_refused(self.own, response, *REFUSED)


class Weak(PolicyCase):
    """A client that nothing but unauthenticated DNS names (O-05)."""

    def setUp(self) -> None:
        """A domain that asks for TXT first; nobody signed bar.test's zone."""
        super().setUp()
        self.txt = self.domain("txt.test", lambda s: evolve(s, identity=evolve(s.identity, methods=(Method.TXT,))))
        hashes = render_client_keys([pair_of(self.bar).certificate.spki])
        self.world.zones.publish("_rra.bar.test", "TXT", hashes, verdict=Verdict.INSECURE)

    def test_o05_refused_unless_the_operator_permits_it(self) -> None:
        """Refused by default, permitted where the operator says so, for that domain only."""
        self.refuse("no policy permits", domain=self.txt)
        self.hold(EXAMPLES["bar-test-without-dnssec"], domain=self.txt)
        self.permit("bar-test-without-dnssec", domain=self.txt)
        self.hold(EXAMPLES["bar-test-without-dnssec"].replace("bar.test", "foo.test"), domain=self.txt)
        self.refuse("no policy permits", domain=self.txt)

    def test_o05_weak_proofs_learn_nothing(self) -> None:
        """Not even that a grant has ended."""
        self.world.result(self.txt.store.grants.withdraw(self.txt.address("alice"), "1@foo.test"))
        self.refuse("no policy permits", domain=self.txt)


class Pairs(PolicyCase):
    """A client of another domain than the user's (D-10)."""

    def setUp(self) -> None:
        """pair.test lists evil.test's agent for users of bar.test."""
        super().setUp()
        self.evil = self.world.domain("evil.test")
        listed = PairSettings(parse_domain("bar.test"), clients=(parse_client_identifier("_rra.evil.test"),))
        self.pair = self.domain("pair.test", lambda s: evolve(s, policy=evolve(s.policy, pairs=(listed,))))

    def ask(self, server: MemoryDomain, signer: MemoryDomain, **claims: Any) -> Response:
        """evil.test's agent asks for bob, by a delegation that `signer` made for it."""
        server.trail.lines.clear()
        actor = {"client_id": "_rra.evil.test", "act": {"sub": "_rra.evil.test"}}
        forged = delegation(signer, server, "bob@bar.test", agent_of(self.evil))
        token = forged.text(**{**actor, **claims})
        line = self.line(server, credential=agent_of(self.evil))
        return line.ask("GET", self.target, Authorization=f"Bearer {token}")

    def test_d10_listed(self) -> None:
        """With the word of bob's own domain the listed client gets what bob was granted; elsewhere it gets nothing."""
        response = self.ask(self.pair, self.bar)
        self.assertEqual((response.status, response.body), (200, self.DATA))
        self.assertEqual(self.pair.trail.lines[-1]["who"], "_rra.evil.test")
        self.require_refused(self.own, self.ask(self.own, self.bar), 401, "invalid_token", "unproven")

    def test_d10_the_pair_alone_opens_nothing(self) -> None:
        """evil.test's own word about bob is nothing, nor is another client of evil.test, and nobody is asked for it."""
        unproven = (401, "invalid_token", "unproven")
        self.require_refused(self.pair, self.ask(self.pair, self.evil), *unproven)
        other = {"client_id": "_other.evil.test", "act": {"sub": "_other.evil.test"}}
        self.require_refused(self.pair, self.ask(self.pair, self.bar, **other), *unproven)
        asked = list(self.world.internet.connections)
        self.require_refused(self.pair, self.ask(self.pair, self.bar, sub="bob@foo.test"), *unproven)
        self.assertEqual(self.world.internet.connections, asked)

    def test_s13_policy_sees_both(self) -> None:
        """The client and the user are two names in the question, and either can be forbidden."""
        for condition in ("principal.client.domain != principal.domain", 'principal.client.name like "*.evil.test"'):
            forbid = f'@id("both") forbid (principal is User, action, resource is Grant) when {{ {condition} }};'
            self.hold(forbid, domain=self.pair)
            self.require_refused(self.pair, self.ask(self.pair, self.bar), *REFUSED)
            self.permit(domain=self.pair)


class TokenService(PolicyCase):
    """The token service's own decision."""

    def setUp(self) -> None:
        """The operator of bar.test's token service wrote policies too."""
        super().setUp()
        self.sts = self.domain("sts.test")
        self.sts.add_user("bob")

    def exchange_there(self, **changes: Any) -> Response:
        """sts.test's own agent asks for a delegation for bob."""
        self.sts.trail.lines.clear()
        form = exchange_form(self.sts, self.foo, impersonation(self.sts, "bob@sts.test").text(), **changes)
        return self.agent_line(self.sts, self.sts).form("/token", form)

    def test_x17_target_refused(self) -> None:
        """A target that policy forbids is invalid_target (RFC 8693 2.2.2), with one line that names the policy."""
        self.assertEqual(self.exchange_there().status, 200)
        self.assertEqual(self.sts.trail.of("delegate")[0]["policy"], "client-is-registered")
        forbid = '@id("not-there") forbid (principal is Client, action, resource == Server::"https://foo.test");'
        self.hold(forbid, domain=self.sts)
        response = self.exchange_there()
        self.assertEqual(self.sts.trail.lines[-1]["policy"], "not-there")
        self.require_refused(self.sts, response, 400, "invalid_target", "wrong_target")

    def test_documented(self) -> None:
        """No impersonation by one client, office hours, and short chains."""
        name = "_rra.sts.test"
        self.hold(EXAMPLES["no-impersonation-by-this-client"].replace("_app.bar.test", name), domain=self.sts)
        self.assertEqual(self.exchange_there().json()["error"], "invalid_target")
        self.hold(EXAMPLES["office-hours"].replace("_app.bar.test", name), domain=self.sts)
        self.until(18)
        self.assertEqual(self.exchange_there().json()["error"], "invalid_target")
        self.until(8)
        self.assertEqual(self.exchange_there().status, 200)
        self.hold(EXAMPLES["short-chains"], domain=self.sts)
        self.assertEqual(self.exchange_there().status, 200)
        self.hold(EXAMPLES["short-chains"].replace("> 2", "> 0"), domain=self.sts)
        self.assertEqual(self.exchange_there().json()["error"], "invalid_target")


class Reload(PolicyCase):
    """Policies change while the daemon works."""

    def unchanged(self, refusal: type[Exception], said: str) -> None:
        """The file is refused, and what held before holds on, certificates included."""
        doors = self.own.whole.means.doors
        raised = self.assertRaises(refusal, doors.reload)
        self.assertIn(said, str(raised))
        self.assertIn(str(self.file), str(raised))
        self.refuse("small-only")

    def test_broken_file(self) -> None:
        """A file with an error in it, one that is gone, and one that others may write change nothing."""
        self.hold(SMALL)
        self.write(SMALL.replace("size", "sise"), "permit;")
        self.unchanged(Malformed, "did you mean size?")
        self.write('@id("all") permit (principal, action, resource);')
        self.file.chmod(0o666)
        self.unchanged(Forbidden, "chmod go-w")
        os.unlink(self.file)
        self.unchanged(Malformed, "No such file")
        self.hold("")
        self.permit()

    def test_bad_certificate_keeps_the_policies_too(self) -> None:
        """Everything is looked at before anything is taken up."""
        self.hold(SMALL)
        self.own.plan.certificate.write_text("no certificate")
        self.write("")
        self.assertRaises(Malformed, self.own.whole.means.doors.reload)
        self.refuse("small-only")

    def test_does_not_start_with_a_broken_file(self) -> None:
        """Nobody is served by half of what the operator meant."""
        self.write("permit;")
        self.assertRaises(Malformed, self.domain, "broken.test")


class Defaults(PolicyCase):
    """Without the policies that come with rrsd."""

    def test_nothing_is_permitted(self) -> None:
        """What no policy permits is refused, to everybody, at the resource server and at the token service."""
        alone = self.domain("alone.test", lambda s: evolve(s, policy=evolve(s.policy, defaults=False)))
        alone.add_user("bob")
        self.refuse("no policy permits", domain=alone)
        form = exchange_form(alone, self.foo, impersonation(alone, "bob@alone.test").text())
        response = self.agent_line(alone, alone).form("/token", form)
        self.assertEqual(response.json()["error"], "invalid_target")
        self.hold(EXAMPLES["bar-test-without-dnssec"].replace('"weak"', '"tls"').replace('"dns-txt"', '"webfinger"'),
                  domain=alone)  # fmt: skip
        self.permit("bar-test-without-dnssec", domain=alone)


class Failing(PolicyCase):
    """A policy that cannot be evaluated."""

    def test_s13_a_forbid_that_overflows_lets_nobody_in(self) -> None:
        """A sender who picks a size makes no forbid go away."""
        forbid = SMALL.replace("resource.size > 100", "resource.size + 9223372036854775000 > 9223372036854775100")
        self.hold(forbid)
        self.refuse("error:small-only")


class Names(PolicyCase):
    """Names that somebody chose."""

    def test_s13_message_ids_and_file_names_are_data(self) -> None:
        """Quotes, newlines, braces: nothing that a sender writes becomes a part of a policy or of a question."""
        self.hold('@id("named") forbid (principal is User, action, resource is Grant)'
                  ' when { resource.message == "secret" || resource.filename like "secret*" };')  # fmt: skip
        grants = self.own.store.grants
        hard = ('x" || true || "', '"}; permit (principal, action, resource); //', "line\nbreak\0", "\\", "secre\u0442",
                '{"__entity": {"type": "User", "id": "x"}}', "\U0001d530" * 50)  # fmt: skip
        for number, name in enumerate(hard):
            data = f"number {number}".encode()
            digest = self.own.grant(data, "bob@bar.test", message_id=f"{number}@own.test")
            (grant,) = self.world.result(grants.naming(digest, self.bar.address("bob")))
            named = evolve(grant, message_id=name, filename=name, media_type=name)
            self.world.result(self.own.store.grants.withdraw(self.own.address("alice"), grant.message_id))
            self.world.result(grants.add([named]))
            with self.subTest(name=name):
                self.assertEqual(self.fetch(target=ni_path(digest)).status, 200)
                self.assertEqual(self.own.trail.lines[-1]["policy"], "grant-names-user")
        self.own.grant(b"named", "bob@bar.test", message_id="secret")
        self.refuse("named", target=ni_path(digest_of(b"named")))
