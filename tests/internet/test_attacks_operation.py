"""Z, S-20: clocks that jump, and memories that somebody wants to fill."""

from typing import Any

from rrsd.core.values.tokens import Kind
from rrsd.drivers.store.service import Store
from tests.support.attackers import AttackCase, Response
from tests.support.forgery import ACCESS_TOKEN, access, delegation, exchange_form, impersonation, jws
from tests.support.spoiled import STRANGER

HOUR = 3600.0
EXPIRED = (401, "invalid_token", "expired")


def remembered(store: Store) -> int:
    """How many uses are in the memory of what may be used once."""
    engine: Any = store.replays._engine
    (count,) = engine._connection.execute("SELECT count(*) FROM replays").fetchone()
    return int(count)


class Clocks(AttackCase):
    """The time of day jumps at one domain while nobody else's does."""

    def fetch(self, token: str) -> Response:
        """Retrieve from foo.test."""
        return self.agent_line(self.foo).ask("GET", self.target, Authorization=f"Bearer {token}")

    def exchange_with(self, token: str) -> Response:
        """Exchange at bar.test."""
        return self.exchange(exchange_form(self.bar, self.foo, token))

    def test_s20_what_ended_stays_ended(self) -> None:
        """A delegation that was over is over when the resource server's clock is set back before its end."""
        token = delegation(self.bar, self.foo).text()
        self.assertEqual(self.fetch(token).status, 200)
        self.foo.trail.lines.clear()
        self.world.advance(400, 10)
        self.require_refused(self.foo, self.fetch(token), *EXPIRED, token)
        for step in (-300.0, -HOUR, -1e8):
            with self.subTest(step=step):
                self.world.skews["foo.test"] = step
                self.require_refused(self.foo, self.fetch(token), *EXPIRED, token)

    def test_s20_never_seen_before(self) -> None:
        """Neither is one that this server never saw while it lived; a fresh one is taken."""
        token = delegation(self.bar, self.foo).text()
        self.world.advance(400, 10)
        self.assertEqual(self.fetch(delegation(self.bar, self.foo).text()).status, 200)
        self.foo.trail.lines.clear()
        self.world.skews["foo.test"] = -390.0
        self.require_refused(self.foo, self.fetch(token), *EXPIRED, token)
        self.assertEqual(self.fetch(delegation(self.bar, self.foo).text()).status, 200)

    def test_z04_an_hour_ahead(self) -> None:
        """The resource server's clock jumps an hour ahead: what was good is over; put right, it stays over."""
        token = delegation(self.bar, self.foo).text()
        self.world.skews["foo.test"] = HOUR
        self.require_refused(self.foo, self.fetch(token), *EXPIRED, token)
        self.world.skews["foo.test"] = 0.0
        self.require_refused(self.foo, self.fetch(token), *EXPIRED, token)
        self.world.advance(HOUR + 1, 60)
        self.assertEqual(self.fetch(delegation(self.bar, self.foo).text()).status, 200, "the clock has caught up")

    def test_z04_assertions(self) -> None:
        """An assertion that was used is used, whichever way the token service's clock jumps."""
        token = impersonation(self.bar).text()
        self.assertEqual(self.exchange_with(token).status, 200)
        for skew in (HOUR, -HOUR, 0.0, 30.0, -30.0):
            with self.subTest(skew=skew):
                self.world.skews["bar.test"] = skew
                self.bar.trail.lines.clear()
                self.require_refused(self.bar, self.exchange_with(token), 400, "invalid_request", "malformed", token)

    def test_z04_of_others(self) -> None:
        """A token service whose clock is an hour off in either direction hands out nothing that is good elsewhere."""
        self.foo.trail.lines.clear()
        for skew in (HOUR, -HOUR):
            with self.subTest(skew=skew):
                now = int(self.world.clock.seconds() + skew)
                token = delegation(self.bar, self.foo).text(iat=now, nbf=now, exp=now + 300)
                response = self.fetch(token)
                self.assertEqual(response.status, 401)
                self.assertIn(response.json()["reason"], ("expired", "unproven"))
        self.assertEqual(self.fetch(delegation(self.bar, self.foo).text()).status, 200)


class Floods(AttackCase):
    """What is kept of a request is kept for as long as it says, and of garbage nothing is."""

    def test_z12_garbage_is_not_remembered(self) -> None:
        """Tokens that prove nothing leave no row, however many and however new their names are."""
        good = impersonation(self.bar)
        forms = (
            lambda jti: exchange_form(self.bar, self.foo, jws(good.header, {**good.claims, "jti": jti}, STRANGER)),
            lambda jti: exchange_form(self.bar, self.foo, good.text(jti=jti, aud="https://evil.test")),
            lambda jti: exchange_form(self.bar, self.foo, good.text(jti=jti, exp=1)),
            lambda jti: exchange_form(self.bar, self.foo, good.text({"typ": Kind.ACCESS}, jti=jti)),
            lambda jti: exchange_form(self.bar, self.foo, access(self.bar).text(jti=jti, iss="x"), ACCESS_TOKEN),
        )
        before = remembered(self.bar.store)
        for number, form in enumerate(forms):
            for again in range(40):
                self.assertGreaterEqual(self.exchange(form(f"{number}-{again}")).status, 400)
        self.assertEqual(remembered(self.bar.store), before)
        self.assertEqual(self.exchange(exchange_form(self.bar, self.foo, good.text())).status, 200)
        self.assertEqual(remembered(self.bar.store), before + 1)

    def test_z12_names_of_any_length(self) -> None:
        """A row is as long as a hash, whatever the issuer and the name are."""
        first_use = self.bar.store.replays.first_use
        for issuer, jti in (("x" * 10**6, "y"), ("x", "y" * 10**6), ("\ud800", "\0")):
            self.assertTrue(self.world.result(first_use(issuer, jti, self.world.now)))
            self.assertFalse(self.world.result(first_use(issuer, jti, self.world.now)))
        engine: Any = self.bar.store.replays._engine
        rows = engine._connection.execute("SELECT max(length(once)) FROM replays").fetchone()
        self.assertEqual(rows, (32,))

    def test_z12_what_has_expired_is_dropped(self) -> None:
        """The memory follows what lives, not what was: it stops growing however long the flood lasts."""
        first_use = self.bar.store.replays.first_use
        sizes: list[int] = []
        for round_ in range(12):
            for number in range(1000):
                self.world.result(first_use("a", f"{round_}-{number}", self.world.now))
            sizes.append(remembered(self.bar.store))
            self.world.advance(HOUR, HOUR)
        self.assertLessEqual(max(sizes), 4000)
        self.assertLessEqual(sizes[-1], sizes[3])
