"""N: renewals over mutual TLS: who may have more time for what, and how much."""

import json
from datetime import timedelta
from typing import Any

from attrs import evolve

from rrsd.config.settings import Settings
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.resources import Grant
from tests.support.attackers import AttackCase, Response
from tests.support.forgery import delegation
from tests.support.world import MemoryDomain

DAY = timedelta(days=1)
FORBIDDEN = (403, "access_denied", "forbidden")
MALFORMED = (400, "invalid_request", "malformed")
TOKEN = (401, "invalid_token", "unproven")


class Renewals(AttackCase):
    """bob's agent asks foo.test for more time."""

    def ask(self, document: Any, token: str | None = None, of: MemoryDomain | None = None, **headers: str) -> Response:
        """POST the document as bar.test's agent."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        text = delegation(self.bar, self.foo).text() if token is None else token
        given = {"Authorization": f"Bearer {text}", "Content_Type": "application/json", **headers}
        return self.agent_line(self.foo, of).ask("POST", "/rrs/renewals", body, **given)

    def wish(self, until: Any, *named: tuple[str, Digest]) -> dict[str, Any]:
        """A request for these, by default for what bob was granted."""
        grants = named or (("1@foo.test", self.digest),)
        moment = int(until.timestamp()) if isinstance(until, Instant) else until
        return {"until": moment, "grants": [{"message_id": name, "resource": each.ni} for name, each in grants]}

    def grants(self) -> dict[tuple[str, Digest, str], Grant]:
        """As they are kept."""
        found = self.world.result(self.foo.store.grants.sent(self.foo.address("alice"), 100))
        return {(each.message_id, each.digest, str(each.recipient)): each for each in found}

    def end(self) -> Instant:
        """Of bob's grant."""
        return self.grants()["1@foo.test", self.digest, "bob@bar.test"].not_after

    def refuse(self, response: Response, status: int, error: str, reason: str) -> None:
        """Refused, with one line, and no grant is any other than before."""
        self.require_refused(self.foo, response, status, error, reason)
        self.assertEqual(self.grants(), self.before)

    def setUp(self) -> None:
        """Nothing was renewed yet."""
        super().setUp()
        self.foo.grant(b"for carol", "carol@bar.test", message_id="2@foo.test")
        self.before = self.grants()
        self.original = self.end()

    def test_n01_more_time(self) -> None:
        """What is asked for is given, durably, with one line; asking again changes nothing and answers the same."""
        until = self.original + 5 * DAY
        for _ in range(2):
            self.foo.trail.lines.clear()
            response = self.ask(self.wish(until))
            renewed = [{"message_id": "1@foo.test", "resource": self.digest.ni, "not_after": int(until.timestamp())}]
            self.assertEqual((response.status, response.json()), (200, {"renewed": renewed}))
            (line,) = self.foo.trail.lines
            self.assertEqual((line["what"], line["outcome"], line["resource"]), ("renew", "granted", "1 of 1 grants"))
            self.assertEqual((line["subject"], line["policy"]), ("bob@bar.test", "grant-names-user"))
        self.assertEqual(int(self.end().timestamp()), int(until.timestamp()))
        self.world.advance(self.wait(self.original + DAY), 3600)
        target = self.agent_line(self.foo).ask(
            "GET", self.target, Authorization=f"Bearer {delegation(self.bar, self.foo).text()}"
        )
        self.assertEqual(target.body, self.DATA)

    def wait(self, until: Instant) -> float:
        """Seconds from now."""
        seconds: float = (until - self.world.now).total_seconds()
        return seconds

    def test_n02_other_users_grants(self) -> None:
        """A delegation speaks for its subject: carol's grants are none for bob, and no answer tells that there are
        any."""
        carols = ("2@foo.test", digest_of(b"for carol"))
        until = self.original + DAY
        for named in (carols, ("1@foo.test", carols[1]), ("2@foo.test", self.digest), ("9@foo.test", digest_of(b"?"))):
            with self.subTest(named=named):
                self.refuse(self.ask(self.wish(until, named)), *FORBIDDEN)
        response = self.ask(self.wish(until, carols, ("1@foo.test", self.digest)))
        self.assertEqual([each["message_id"] for each in response.json()["renewed"]], ["1@foo.test"])
        self.assertEqual(self.grants()["2@foo.test", carols[1], "carol@bar.test"], next(
            each for key, each in self.before.items() if key[0] == "2@foo.test"
        ))  # fmt: skip

    def test_n03_other_clients(self) -> None:
        """The delegation of bar.test's agent is nothing over another certificate, none, or from another issuer."""
        good, until = delegation(self.bar, self.foo).text(), self.original + DAY
        self.refuse(self.ask(self.wish(until), good, of=self.foo), *TOKEN)
        body = json.dumps(self.wish(until)).encode()
        headers = {"Authorization": f"Bearer {good}", "Content_Type": "application/json"}
        self.refuse(self.line(self.foo).ask("POST", "/rrs/renewals", body, **headers), *TOKEN)
        response = self.agent_line(self.foo).ask("POST", "/rrs/renewals", body, Content_Type="application/json")
        self.refuse(response, 401, "unauthorized", "unauthenticated")
        evil = self.world.domain("evil.test")
        forged = delegation(evil, self.foo, "eve@evil.test").text(sub="bob@bar.test")
        self.refuse(self.ask(self.wish(until), forged, of=evil), *TOKEN)
        self.refuse(self.ask(self.wish(until), delegation(evil, self.foo, "eve@evil.test").text(), of=evil), *FORBIDDEN)

    def test_n04_withdrawn(self) -> None:
        """What alice took back stays taken back; the answer is that for what was never granted."""
        self.world.result(self.foo.store.grants.withdraw(self.foo.address("alice"), "1@foo.test"))
        self.before = self.grants()
        self.refuse(self.ask(self.wish(self.original + DAY)), *FORBIDDEN)

    def test_n05_absurd_times(self) -> None:
        """Nothing becomes earlier, nothing lasts longer than the operator lets it, however often somebody asks."""
        for until in (0, int(self.world.now.timestamp()) - 1, int(self.original.timestamp()) - 60):
            response = self.ask(self.wish(until))
            self.assertEqual(response.json()["renewed"][0]["not_after"], int(self.original.timestamp()))
            self.assertEqual(self.grants(), self.before)
        self.foo.trail.lines.clear()
        absurd: tuple[Any, ...] = (-1, 1 << 63, 1e9, "2030", None, True, float("inf"), [1])
        for wanted in absurd:
            with self.subTest(until=wanted):
                self.refuse(self.ask(self.wish(wanted)), *MALFORMED)
        longest = self.foo.settings.rs.renewal_longest
        for _ in range(3):
            self.ask(self.wish(253370764800))
            self.assertEqual(self.end(), self.original + longest)
        self.world.advance(self.wait(self.original + 10 * DAY), 3600)
        self.ask(self.wish(self.original + 90 * DAY))
        self.assertEqual(self.end(), self.original + longest, "the end that the sender gave is what counts")

    def test_n06_malformed(self) -> None:
        """One reading only, and not too many at once."""
        good = self.wish(self.original + DAY)
        bad: list[tuple[Any, tuple[int, str, str]]] = [
            (b"", MALFORMED), (b"[]", MALFORMED), (b'{"until":1,"until":2,"grants":[]}', MALFORMED),
            ({"until": good["until"]}, MALFORMED), ({**good, "grants": {}}, MALFORMED),
            ({**good, "grants": good["grants"] * 2}, MALFORMED), ({**good, "grants": ["x"]}, MALFORMED),
            ({**good, "grants": [{"message_id": "1@foo.test", "resource": "ni:///md5;x"}]}, MALFORMED),
            ({**good, "grants": [{"message_id": "", "resource": self.digest.ni}]}, MALFORMED),
            ({**good, "grants": [{"message_id": "x" * 999, "resource": self.digest.ni}]}, MALFORMED),
            ({**good, "grants": [{"message_id": str(each), "resource": self.digest.ni} for each in range(101)]},
             (413, "invalid_request", "too_large")),
            (b" " * 70000, (413, "invalid_request", "too_large")),
        ]  # fmt: skip
        for document, expected in bad:
            with self.subTest(document=str(document)[:60]):
                self.refuse(self.ask(document), *expected)
        self.refuse(self.ask(good, Content_Type="text/plain"), 415, "invalid_request", "unsupported")
        self.refuse(self.ask({**good, "grants": []}), *FORBIDDEN)

    def test_n07_an_ended_grant(self) -> None:
        """While its bytes are here it can be renewed; when they were collected it is like one that never was."""
        self.foo.keep(self.DATA)
        self.world.advance(self.wait(self.original) + 60, 3600)
        response = self.ask(self.wish(self.original + 2 * DAY))
        self.assertEqual((response.status, len(response.json()["renewed"])), (200, 1))
        self.world.advance(self.wait(self.original + 3 * DAY), 3600)
        self.world.result(self.foo.whole.serving.collection.collect())
        self.before = self.grants()
        self.foo.trail.lines.clear()
        self.refuse(self.ask(self.wish(self.original + 9 * DAY)), *FORBIDDEN)

    def test_n08_too_often(self) -> None:
        """A client has so many a minute; another's are its own."""
        self.foo.trail.lines.clear()
        statuses = [self.ask(self.wish(self.original + DAY)).status for _ in range(61)]
        self.assertEqual(statuses, [200] * 60 + [429])
        self.assertEqual(self.foo.trail.lines[-1]["refusal"], "too_many")
        evil = self.world.domain("evil.test")
        self.foo.grant(self.DATA, "eve@evil.test", message_id="3@foo.test")
        token = delegation(evil, self.foo, "eve@evil.test").text()
        wish = self.wish(self.original + DAY, ("3@foo.test", self.digest))
        self.assertEqual(self.ask(wish, token, of=evil).status, 200)

    def test_n09_switched_off(self) -> None:
        """An operator who gives no renewals gives none."""

        def never(settings: Settings) -> Settings:
            return evolve(settings, rs=evolve(settings.rs, renewal_longest=timedelta()))

        self.foo = self.world.domain("own.test", never)
        self.foo.add_user("alice")
        self.digest = self.foo.grant(self.DATA, "bob@bar.test")
        self.before = self.grants()
        self.refuse(self.ask(self.wish(self.original + DAY)), *FORBIDDEN)

    def test_n10_narrowed(self) -> None:
        """A delegation for other messages renews none of this one."""
        details = [{"type": "rrs_message", "message_id": "7@foo.test"}]
        token = delegation(self.bar, self.foo).text(authorization_details=details)
        self.refuse(self.ask(self.wish(self.original + DAY), token), *FORBIDDEN)

    def test_n11_policy(self) -> None:
        """What the operator forbids is not renewed, although it may be fetched."""
        self.foo.trail.lines.clear()
        rules = 'forbid(principal, action == Action::"renew", resource) when { context.until > context.promised };'
        policies = self.foo.plan.folder / "own.cedar"
        policies.write_text(f'@id("as-promised")\n{rules}\n')

        def held(settings: Settings) -> Settings:
            return evolve(settings, policy=evolve(settings.policy, path=str(policies)))

        self.foo = self.world.domain("own.test", held)
        self.foo.add_user("alice")
        self.digest = self.foo.grant(self.DATA, "bob@bar.test")
        self.before = self.grants()
        self.refuse(self.ask(self.wish(self.original + DAY)), *FORBIDDEN)
