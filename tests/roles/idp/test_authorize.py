"""The authorization endpoint: what may be asked, who may log in, where the browser goes."""

from datetime import timedelta

from attrs import evolve

from rrsd.core.refusals import Expired, Forbidden, Malformed, TooMany, UnknownClient
from rrsd.core.values.addresses import parse_address
from rrsd.roles.idp import rules
from rrsd.roles.idp.flow import LoginPage, Redirect
from tests.roles.idp.login import BOB, ISSUER, LOOPBACK, PEER, LoginCase, form


class AskTests(LoginCase):
    """Authorization requests."""

    def test_the_page_names_client_and_user(self) -> None:
        """The page says which program asks, and has the address that the program knows."""
        page = self.page(login_hint=str(BOB))
        self.assertEqual((page.title, page.hint, page.refusal), ("rrsctl, the command line", str(BOB), None))
        self.assertEqual(page.target, "http://127.0.0.1:41234")

    def test_every_answer_names_the_issuer_and_the_state(self) -> None:
        """Success, error and cancellation carry `iss` and `state` (RFC 9207 2)."""
        page = self.page()
        good = self.sent(page)
        bad = self.flow.ask(form(**self.request(scope="everything")), PEER)
        assert isinstance(good, Redirect) and isinstance(bad, Redirect)
        for left in (good, bad, Redirect(page.cancel)):
            self.assertTrue(left.uri.startswith(f"{LOOPBACK}?"))
            self.assertEqual((self.answered(left)["iss"], self.answered(left)["state"]), (str(ISSUER), "s&t te"))
        self.assertEqual(self.answered(Redirect(page.cancel))["error"], "access_denied")

    def test_a_redirect_uri_with_a_query_keeps_it(self) -> None:
        """The answer is added to the registered query, and no state is invented."""
        page = self.page(client_id="web", redirect_uri="https://mail.bar.test/login?from=id", state=None)
        self.assertTrue(page.cancel.startswith("https://mail.bar.test/login?from=id&error=access_denied&iss="))
        self.assertNotIn("state", page.cancel)

    def test_a_private_use_scheme_may_be_followed(self) -> None:
        """The browser may be led to the scheme of a native program."""
        self.assertEqual(self.page(client_id="web", redirect_uri="test.bar.mail:/login").target, "test.bar.mail:")
        self.assertEqual(rules.form_target("http://[::1]:4000/callback"), "http:")

    def test_nobody_is_sent_to_a_wrong_redirect_uri(self) -> None:
        """An unknown client or a redirect URI that is not the client's gets a page, never a redirect."""
        self.assertRaises(UnknownClient, self.flow.ask, form(**self.request(client_id="evil")), PEER)
        self.assertRaises(Malformed, self.flow.ask, form(**self.request(client_id=None)), PEER)
        wrong = [
            None, "http://127.0.0.1:41234/callback/", "http://127.0.0.1:41234/callback?x=1", "http://127.0.0.1:0/callback",
            "http://127.0.0.1:65536/callback", "http://localhost:41234/callback", "http://127.0.0.1:1@evil.test/callback",
            "https://127.0.0.1:41234/callback", "http://[::1]:41234/callback", "https://evil.test/rrs/code",
            "https://id.bar.test/rrs/code/", "https://id.bar.test:8443/rrs/code", "javascript:alert(1)",
        ]  # fmt: skip
        for uri in wrong:
            with self.subTest(str(uri)):
                self.assertRaises(Malformed, self.flow.ask, form(**self.request(redirect_uri=uri)), PEER)

    def test_any_loopback_port_and_the_code_page(self) -> None:
        """A native program may listen on any port; one without a browser uses the page (RFC 8252 7.3)."""
        for uri in ("http://127.0.0.1/callback", "http://127.0.0.1:65535/callback", f"{ISSUER}/rrs/code"):
            self.assertIsInstance(self.flow.ask(form(**self.request(redirect_uri=uri)), PEER), LoginPage)

    def test_what_the_client_asks_wrongly_goes_back_to_it(self) -> None:
        """Each mistake of the client is one error of RFC 6749 4.1.2.1."""
        cases: dict[str, dict[str, str | None]] = {
            "unsupported_response_type": {"response_type": "token"},
            "invalid_scope": {"scope": "openid admin"},
            "invalid_target": {"resource": "https://rs.foo.test"},
            "login_required": {"prompt": "none"},
            "request_not_supported": {"request": "eyJ"},
            "request_uri_not_supported": {"request_uri": "https://evil.test/r"},
        }
        invalid: list[dict[str, str | None]] = [
            {"response_type": None}, {"response_mode": "fragment"}, {"nonce": "n" * 1025}, {"login_hint": "n" * 1025},
            {"code_challenge": None}, {"code_challenge_method": None}, {"code_challenge_method": "plain"},
            {"code_challenge": "x" * 42}, {"code_challenge": "x" * 42 + "="},
        ]  # fmt: skip
        for error, changes in [*cases.items(), *[("invalid_request", each) for each in invalid]]:
            with self.subTest(f"{error} {list(changes)}"):
                left = self.flow.ask(form(**self.request(**changes)), PEER)
                assert isinstance(left, Redirect)
                self.assertEqual(self.answered(left)["error"], error)

    def test_a_huge_state_is_not_sent_back_whole(self) -> None:
        """An oversized state is refused and cut."""
        left = self.flow.ask(form(**self.request(state="s" * 5000)), PEER)
        assert isinstance(left, Redirect)
        self.assertEqual(len(self.answered(left)["state"]), rules.MOST_ECHOED)

    def test_no_scope_is_the_api(self) -> None:
        """A request without scope is for the API, the right resource may be named."""
        self.assertEqual(self.redeemed(self.code(scope=None, resource="https://bar.test"))["scope"], "mail")


class LogInTests(LoginCase):
    """Address and password."""

    def refused(self, shown: LoginPage | Redirect) -> LoginPage:
        """The page that is shown again."""
        assert isinstance(shown, LoginPage), shown
        self.assertIsNotNone(shown.refusal)
        return shown

    def test_unknown_user_and_wrong_password_look_and_cost_the_same(self) -> None:
        """One reply, and one password check each, for every way to be wrong."""
        carol = parse_address("carol@bar.test")
        self.users.kept[carol] = evolve(self.users.kept[BOB], address=carol, suspended=True)
        ways = [
            (str(BOB), "wrong"), ("dave@bar.test", "correct horse"), (str(carol), "correct horse"), ("", ""),
            ("no address", "correct horse"), (str(BOB), "correct horse" + "e" * 2000),
        ]  # fmt: skip
        for username, password in ways:
            with self.subTest(username):
                page = self.refused(self.sent(self.page(), password, username))
                self.assertEqual(type(page.refusal), Forbidden)
                self.assertEqual(str(page.refusal), "forbidden: no such user, another password, or suspended")
        self.assertEqual(len(self.passwords.checked), len(ways))
        self.assertEqual(self.logins.codes, {})

    def test_a_refused_page_can_be_sent_again(self) -> None:
        """After a wrong password the page that comes back works."""
        page = self.refused(self.sent(self.page(), "wrong"))
        self.assertIsInstance(self.sent(page), Redirect)

    def test_letters_compose_as_they_like(self) -> None:
        """A password typed with combining characters is the same password (RFC 8265)."""
        self.users.kept[BOB] = evolve(self.users.kept[BOB], password="plain:caf\u00e9 au lait")
        self.assertIsInstance(self.sent(self.page(), "cafe\u0301 au lait"), Redirect)

    def test_guessing_is_limited_by_address_and_by_user(self) -> None:
        """Too many tries from one address, or for one user, are refused before any password is checked."""
        for quota in (self.by_address, self.by_user):
            quota.most = 0
            page = self.refused(self.sent(self.page(), username="Bob@bar.test"))
            assert isinstance(page.refusal, TooMany)
            self.assertEqual(page.refusal.retry_after, 7)
            quota.most = 1000
        self.assertEqual(self.passwords.checked, [])
        self.assertEqual((set(self.by_address.taken), set(self.by_user.taken)), ({PEER}, {str(BOB)}))

    def test_the_trail_never_holds_a_password_in_the_wrong_field(self) -> None:
        """What was typed as the address is kept only if it is one."""
        self.sent(self.page(), "bob@bar.test", "my secret password")
        self.assertEqual((self.trail.last.what, self.trail.last.outcome), ("login", "refused"))
        self.assertEqual(self.trail.last.subject, "")
        self.sent(self.page(), "wrong")
        self.assertEqual(self.trail.last.subject, str(BOB))
        self.assertNotIn("secret", repr(self.trail.events))

    def test_a_good_login_is_in_the_trail_without_its_code(self) -> None:
        """The event names client and user."""
        code = self.code()
        self.assertEqual((self.trail.last.outcome, self.trail.last.who), ("granted", "rrsctl"))
        self.assertEqual((self.trail.last.subject, self.trail.last.peer), (str(BOB), PEER))
        self.assertNotIn(code, repr(self.trail.events))
        self.assertNotIn(code, repr(self.logins.codes))

    def test_forms_of_others_are_refused(self) -> None:
        """A sealed request that was changed, cut, or made by another process is none of ours."""
        sealed = self.page().sealed
        body, _, mac = sealed.partition(".")
        elsewhere = self.make(secret=b"1" * 32).ask(form(**self.request()), PEER)
        assert isinstance(elsewhere, LoginPage)
        for bad in (body, f"{body}x.{mac}", f"x{body}.{mac}", f"{body}.{mac[:-1]}", elsewhere.sealed, "\u00e9.x", "."):
            with self.subTest(bad[:20]):
                self.refuse_now(self.flow.login(form(request=bad, username="x", password="x"), PEER), Malformed)
        self.refuse_now(self.flow.login(form(username="x"), PEER), Malformed)

    def test_a_page_that_is_too_old(self) -> None:
        """A login page works for its time only."""
        page = self.page()
        self.time.at += timedelta(minutes=15)
        filled = form(request=page.sealed, username=str(BOB), password="correct horse")
        self.refuse_now(self.flow.login(filled, PEER), Expired)
