"""Codes and refresh tokens become tokens, once."""

from datetime import timedelta
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred

from rrsd.core.proof import signatures
from rrsd.core.proof.tokens import prove_access
from rrsd.core.refusals import Malformed, NotGranted, TooMany, Unavailable, UnknownClient, WrongScope
from rrsd.core.values.instants import seconds
from rrsd.core.values.logins import Code, RefreshGrant
from rrsd.core.values.tokens import VerifiedAccess, revoked_names
from rrsd.core.wire import jose
from rrsd.roles.idp.settings import Settings
from tests.roles.idp.login import API, BOB, ISSUER, PEER, VERIFIER, LoginCase, form
from tests.support.issuer import START, MemoryLogins


class CodeTests(LoginCase):
    """Authorization codes."""

    def test_the_access_token_is_proved_by_our_own_rules(self) -> None:
        """What is issued is an RFC 9068 token for the domain's API, in the user's name."""
        document = self.redeemed(self.code())
        self.assertEqual((document["token_type"], document["expires_in"]), ("Bearer", 600))
        jws = jose.parse_jws(document["access_token"])
        access = prove_access(jws, self.desk.keys, ISSUER, frozenset({API}), self.time.now())
        self.assertEqual((access.subject, access.client_id), (BOB, "rrsctl"))
        self.assertEqual(access.scope, {"openid", "offline_access"})
        self.assertEqual(jws.claims["auth_time"], seconds(START))

    def test_the_id_token_is_for_the_client(self) -> None:
        """With scope openid there is an ID token with the nonce, and it can be no access token."""
        jws = jose.parse_jws(self.redeemed(self.code())["id_token"])
        signatures.verify(jws, self.desk.keys)
        self.assertEqual((jws.typ, jws.claims["aud"], jws.claims["nonce"]), ("JWT", "rrsctl", "n-1"))
        self.assertEqual((jws.claims["sub"], jws.claims["email"]), (str(BOB), str(BOB)))
        without = jose.parse_jws(self.redeemed(self.code(nonce=None))["id_token"])
        self.assertNotIn("nonce", without.claims)
        self.assertNotIn("id_token", self.redeemed(self.code(scope="mail")))

    def test_a_code_is_used_once(self) -> None:
        """A replayed code is refused, and the login that it led to ends."""
        code = self.code()
        refresh = self.redeemed(code)["refresh_token"]
        self.refusal(self.redemption(code), NotGranted)
        self.renewal_refused(refresh, NotGranted)

    def test_a_code_that_is_replayed_while_it_is_redeemed(self) -> None:
        """A replay that comes before the refresh token is written still ends the login."""
        self.logins = SlowLogins()
        self.flow = self.make()
        code = self.code()
        first = Deferred.fromCoroutine(self.flow.redeem_code(self.redemption(code), None, PEER))
        self.assertNoResult(first)
        self.refusal(self.redemption(code), NotGranted)
        self.logins.go_on.callback(None)
        self.failureResultOf(first, NotGranted)
        self.assertEqual(len(self.logins.revoked), 1)

    def test_pkce(self) -> None:
        """Another verifier, none, or one that is no verifier is refused, and burns the code."""
        for verifier, kind in (("x" * 43, NotGranted), ("short", NotGranted), (None, Malformed)):
            with self.subTest(str(verifier)):
                self.refusal(self.redemption(self.code(), code_verifier=verifier), kind)
        code = self.code()
        self.refusal(self.redemption(code, code_verifier="x" * 43), NotGranted)
        self.refusal(self.redemption(code), NotGranted)

    def test_code_of_another_client_or_redirect_uri(self) -> None:
        """A code is for the client and the redirect URI of its request."""
        self.refusal(self.redemption(self.code(), client_id="web"), NotGranted)
        self.refusal(self.redemption(self.code(), redirect_uri="http://127.0.0.1:41235/callback"), NotGranted)
        self.refusal(self.redemption(self.code(), redirect_uri=None), NotGranted)

    def test_code_is_too_old_or_unknown(self) -> None:
        """A code lives for a minute."""
        code = self.code()
        self.time.at += timedelta(seconds=60)
        self.refusal(self.redemption(code), NotGranted)
        self.refusal(self.redemption("guess"), NotGranted)
        self.refusal(self.redemption(""), Malformed)

    def test_user_suspended_or_removed_meanwhile(self) -> None:
        """A code of a user who may not log in any more is worth nothing."""
        code = self.code()
        self.users.kept[BOB] = evolve(self.users.kept[BOB], suspended=True)
        self.refusal(self.redemption(code), NotGranted)
        self.users.kept[BOB] = evolve(self.users.kept[BOB], suspended=False)
        code = self.code()
        del self.users.kept[BOB]
        self.refusal(self.redemption(code), NotGranted)

    def test_c03_unknown_client_or_a_secret(self) -> None:
        """A client that is not registered, or brings a secret that nobody gave it, is refused."""
        code = self.code()
        self.refusal(self.redemption(code, client_id="evil"), UnknownClient)
        self.refusal(self.redemption(code, client_id=None), Malformed)
        self.refusal(self.redemption(code, client_secret="guess"), UnknownClient)
        self.refusal(self.redemption(code, client_assertion="eyJ"), UnknownClient)
        self.assertIn("access_token", self.redeemed(code, client_secret=""))

    def test_t12_wrong_attempts(self) -> None:
        """An address that guesses codes has to wait, good requests from it go on."""
        self.by_failure.most = 2
        for _ in range(2):
            self.refusal(self.redemption("guess"), NotGranted)
        limited = self.refuse_now(self.flow.redeem_code(self.redemption("guess"), None, PEER), TooMany)
        self.assertEqual(limited.retry_after, 7)
        self.redeemed(self.code())

    def test_z06_signing_key_missing(self) -> None:
        """Without a signing key nothing is issued and nothing is counted against the client."""
        code = self.code()
        self.desk.signer.use(None)
        self.refusal(self.redemption(code), Unavailable)
        self.assertEqual(self.by_failure.taken, {})
        self.assertEqual(self.logins.refreshes, {})

    def test_z11_neither_trail_nor_store_holds_a_secret(self) -> None:
        """Codes, verifiers and tokens are nowhere but in the answers."""
        code = self.code()
        document = self.redeemed(code)
        kept = repr((self.trail.events, self.logins))
        for secret in (code, VERIFIER, document["access_token"], document["refresh_token"]):
            self.assertNotIn(secret, kept)


@define(eq=False)
class SlowLogins(MemoryLogins):
    """Adds refresh tokens only when it is told to go on."""

    go_on: Deferred[None] = field(factory=Deferred)

    async def add_refresh(self, grant: RefreshGrant) -> None:
        """Wait, then remember."""
        await self.go_on
        await super().add_refresh(grant)


class RefreshTests(LoginCase):
    """Refresh tokens rotate, and one that comes twice ends the login."""

    def setUp(self) -> None:
        """Bob is logged in."""
        super().setUp()
        self.token = self.redeemed(self.code())["refresh_token"]

    def test_each_use_gives_another_token(self) -> None:
        """The new token works, the access token is in the same user's name with the same login time."""
        self.time.at += timedelta(hours=1)
        document = self.renewed(self.token)
        self.assertNotEqual(document["refresh_token"], self.token)
        jws = jose.parse_jws(document["access_token"])
        access = prove_access(jws, self.desk.keys, ISSUER, frozenset({API}), self.time.now())
        self.assertEqual((access.subject, jws.claims["auth_time"]), (BOB, seconds(START)))
        self.renewed(document["refresh_token"])

    def test_reuse_ends_the_login(self) -> None:
        """When an old token comes again, the newest one is dead too (RFC 9700 4.14)."""
        newest = self.renewed(self.token)["refresh_token"]
        self.renewal_refused(self.token, NotGranted)
        self.renewal_refused(newest, NotGranted)

    def test_token_in_the_hands_of_another_client(self) -> None:
        """A token that another client brings was stolen: the login ends."""
        self.renewal_refused(self.token, NotGranted, client_id="web")
        self.assertEqual(len(self.logins.revoked), 1)

    def test_scope_can_shrink_for_one_access_token(self) -> None:
        """Less scope may be asked for, more may not, and the chain keeps what was granted."""
        document = self.renewed(self.token, scope="openid")
        self.assertEqual(document["scope"], "openid")
        self.assertEqual(self.renewed(document["refresh_token"])["scope"], "openid offline_access")

    def test_more_scope_than_granted(self) -> None:
        """Scope cannot grow."""
        self.renewal_refused(self.token, WrongScope, scope="openid email")

    def test_unused_token_ends(self) -> None:
        """A token that is not used for its time is over."""
        self.time.at += timedelta(days=30)
        self.renewal_refused(self.token, NotGranted)

    def test_the_login_ends_however_often_it_is_refreshed(self) -> None:
        """The password is asked for again after the login's life."""
        self.flow = self.make(settings=Settings(login_life=timedelta(days=40)))
        for _ in range(2):
            self.time.at += timedelta(days=19)
            self.token = self.renewed(self.token)["refresh_token"]
        self.time.at += timedelta(days=2)
        self.renewal_refused(self.token, NotGranted)

    def test_suspension_ends_the_login(self) -> None:
        """A suspended user's refresh token is dead, also after the suspension."""
        self.users.kept[BOB] = evolve(self.users.kept[BOB], suspended=True)
        self.renewal_refused(self.token, NotGranted)
        self.users.kept[BOB] = evolve(self.users.kept[BOB], suspended=False)
        self.renewal_refused(self.token, NotGranted)

    def test_another_password_ends_the_login(self) -> None:
        """A login from before the password was set, or of an earlier user of the address, is over."""
        self.users.kept[BOB] = evolve(self.users.kept[BOB], created=START + timedelta(seconds=1))
        self.renewal_refused(self.token, NotGranted)

    def test_unknown_token(self) -> None:
        """A guess is refused."""
        self.renewal_refused("guess", NotGranted)


class RevocationTests(LoginCase):
    """A client ends a login (RFC 7009)."""

    def setUp(self) -> None:
        """Bob is logged in."""
        super().setUp()
        self.tokens: dict[str, Any] = self.redeemed(self.code())

    def revoke(self, token: str, client_id: str = "rrsctl") -> None:
        """Ask for the end."""
        self.run_now(self.flow.revoke(form(token=token, client_id=client_id), None, PEER))

    def test_the_login_ends(self) -> None:
        """After the revocation the refresh token is dead."""
        self.revoke(self.tokens["refresh_token"])
        self.renewal_refused(self.tokens["refresh_token"], NotGranted)

    def is_good(self) -> bool:
        """Whether the access token still opens something."""
        access = self.desk_access(self.tokens["access_token"])
        return not self.run_now(self.revocations.is_revoked(*revoked_names(ISSUER, access.jti, access.family)))

    def desk_access(self, text: str) -> VerifiedAccess:
        """What the token says."""
        return prove_access(jose.parse_jws(text), self.desk.keys, ISSUER, frozenset({API}), self.time.now())

    def test_i11_access_tokens_end_with_the_login(self) -> None:
        """A refresh token that is revoked takes the access tokens of its login along."""
        other = self.redeemed(self.code())
        self.revoke(self.tokens["refresh_token"])
        self.assertFalse(self.is_good())
        self.tokens = other
        self.assertTrue(self.is_good())

    def test_i11_a_refresh_token_used_twice(self) -> None:
        """A refresh token that comes twice ends the access tokens of its login too (RFC 9700 4.14)."""
        self.renewed(self.tokens["refresh_token"])
        self.renewal_refused(self.tokens["refresh_token"], NotGranted)
        self.assertFalse(self.is_good())

    def test_access_token(self) -> None:
        """An access token is revoked alone; its login goes on."""
        self.revoke(self.tokens["access_token"])
        self.revoke(self.tokens["access_token"])
        self.assertFalse(self.is_good())
        self.assertEqual(self.logins.revoked, set())
        self.renewed(self.tokens["refresh_token"])

    def test_unknown_tokens_are_no_error(self) -> None:
        """A guess, or a token of another kind, is answered in the same way (RFC 7009 2.2)."""
        for token in ("guess", "a.b.c", "x" * 20000, self.tokens["id_token"]):
            self.revoke(token)
        self.assertEqual((self.logins.revoked, self.revocations.names), (set(), {}))

    def test_i10_token_of_another_client(self) -> None:
        """A token in the hands of another client is not revoked."""
        for name in ("refresh_token", "access_token"):
            asked = form(token=self.tokens[name], client_id="web")
            self.refuse_now(self.flow.revoke(asked, None, PEER), NotGranted)
        self.assertTrue(self.is_good())
        self.renewed(self.tokens["refresh_token"])


class GrantTests(LoginCase):
    """What the token endpoint dispatches to."""

    def test_two_grant_types(self) -> None:
        """The role offers codes and refresh tokens, and no password grant."""
        self.assertEqual(set(self.flow.grants), {"authorization_code", "refresh_token"})

    def test_code_values_hold_no_code(self) -> None:
        """What is kept of a code is its hash."""
        code = self.code()
        (kept,) = self.logins.codes.values()
        self.assertIsInstance(kept, Code)
        self.assertNotEqual(kept.key, code)
