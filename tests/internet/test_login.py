"""The login of a user over TLS: page, form, code, PKCE, tokens, rotation, reuse; and with an external provider."""

import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from attrs import evolve

from rrsd.config.settings import Settings
from rrsd.core.proof.pkce import challenge_of
from rrsd.core.values.peers import parse_issuer
from rrsd.core.values.settings import Size
from tests.support.attackers import FORM, AttackCase, Line, Response
from tests.support.forgery import ACCESS_TOKEN, access, delegation, exchange_form
from tests.support.world import World

PASSWORD = "correct horse battery"
CALLBACK = "http://127.0.0.1:7777/callback"
VERIFIER = "v" * 43
GRANT = (400, "invalid_grant", "not_granted")


def quick(settings: Settings) -> Settings:
    """Passwords that cost little to check."""
    return evolve(settings, idp=evolve(settings.idp, password_memory=Size(64 << 10), password_passes=1))


class LoginCase(AttackCase):
    """bob of bar.test and his program."""

    def setUp(self) -> None:
        """A domain whose users have passwords."""
        super().setUp()
        self.home = self.world.domain("home.test", quick)
        self.bob = self.home.address("bob")
        self.world.result(self.home.whole.people.administration.add(self.bob, PASSWORD))
        self.home.trail.lines.clear()

    def browser(self) -> Line:
        """A connection of the user's browser."""
        return self.line(self.home)

    def asked(self, **changes: Any) -> str:
        """The target of an authorization request."""
        query = {
            "response_type": "code",
            "client_id": "rrsctl",
            "redirect_uri": CALLBACK,
            "scope": "openid mail offline_access",
            "state": "st ate",
            "nonce": "n",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            **changes,
        }
        return f"/authorize?{urlencode({name: value for name, value in query.items() if value is not ...})}"

    def submit(self, page: Response, password: str = PASSWORD, name: str = "bob@home.test") -> Response:
        """Fill in the form of a page and send it."""
        found = re.search(r'name="request" value="([^"]*)"', page.body.decode())
        assert found is not None
        form = {"request": html.unescape(found[1]), "username": name, "password": password}
        return self.browser().form("/authorize", form)

    def code(self, **changes: Any) -> str:
        """The code of a whole login."""
        left = self.submit(self.browser().ask("GET", self.asked(**changes)))
        self.assertEqual(left.status, 303, left)
        return dict(parse_qsl(urlsplit(left.headers["location"]).query))["code"]

    def redeem(self, code: str, /, **changes: Any) -> Response:
        """What the token endpoint says to a code."""
        form = {"grant_type": "authorization_code", "client_id": "rrsctl", "code": code, "redirect_uri": CALLBACK,
                "code_verifier": VERIFIER, **changes}  # fmt: skip
        return self.browser().form("/token", {name: value for name, value in form.items() if value is not ...})

    def refresh(self, token: str, **changes: Any) -> Response:
        """What it says to a refresh token."""
        form = {"grant_type": "refresh_token", "client_id": "rrsctl", "refresh_token": token, **changes}
        return self.browser().form("/token", form)

    def refuse(self, response: Response, status: int, error: str, reason: str, *secrets: str) -> None:
        """The token endpoint refused."""
        self.require_refused(self.home, response, status, error, reason, *secrets)


class Logins(LoginCase):
    """One whole login, and every step of it done wrong."""

    def test_a_login_opens_the_mailbox(self) -> None:
        """Page, password, code, tokens; the access token is good at the API and for an exchange."""
        page = self.browser().ask("GET", self.asked())
        self.assertEqual((page.status, page.headers["cache-control"]), (200, "no-store"))
        self.assertIn("frame-ancestors 'none'", page.headers["content-security-policy"])
        left = self.submit(page)
        self.assertEqual((left.status, left.headers["cache-control"]), (303, "no-store"))
        answer = dict(parse_qsl(urlsplit(left.headers["location"]).query))
        self.assertEqual((answer["state"], answer["iss"]), ("st ate", "https://home.test"))
        self.assertTrue(left.headers["location"].startswith(f"{CALLBACK}?"))
        redeemed = self.redeem(answer["code"])
        tokens = redeemed.json()
        self.assertEqual((redeemed.status, redeemed.headers["cache-control"]), (200, "no-store"))
        self.assertLessEqual({"access_token", "refresh_token", "id_token", "token_type", "expires_in"}, {*tokens})
        inbox = self.browser().ask("GET", "/api/messages", Authorization=f"Bearer {tokens['access_token']}")
        self.assertEqual((inbox.status, inbox.json()["messages"]), (200, []))
        form = exchange_form(self.home, self.foo, tokens["access_token"], ACCESS_TOKEN)
        self.assertEqual(self.agent_line(self.home, self.home).form("/token", form).status, 200)
        told = str(self.home.trail.lines) + "".join(self.logged)
        for secret in (PASSWORD, answer["code"], VERIFIER, tokens["access_token"], tokens["refresh_token"]):
            self.assertNotIn(secret, told)
        self.assertEqual([line["what"] for line in self.home.trail.lines], ["login", "code", "read", "delegate"])

    def test_refresh_tokens_rotate(self) -> None:
        """Each is good once; the use of an old one ends the login, the new one included."""
        first = self.redeem(self.code()).json()["refresh_token"]
        second = self.refresh(first).json()["refresh_token"]
        self.assertNotEqual(first, second)
        third = self.refresh(second).json()["refresh_token"]
        self.home.trail.lines.clear()
        self.refuse(self.refresh(first), *GRANT, first, second)
        self.refuse(self.refresh(third), *GRANT, third)

    def test_refresh_in_parallel(self) -> None:
        """Of two that come at once one wins, and the login ends."""
        token = self.redeem(self.code()).json()["refresh_token"]
        body = urlencode({"grant_type": "refresh_token", "client_id": "rrsctl", "refresh_token": token})
        lines = [self.browser() for _ in range(3)]
        for line in lines:
            head = f"POST /token HTTP/1.1\r\nHost: home.test\r\nContent-Type: {FORM}\r\nContent-Length: {len(body)}"
            line.wire.send(f"{head}\r\n\r\n{body}".encode())
        self.world.internet.pump()
        answers = [line.response() for line in lines]
        self.assertEqual(sorted(answer.status for answer in answers), [200, 400, 400])
        won = next(answer for answer in answers if answer.status == 200).json()["refresh_token"]
        self.assertEqual(self.refresh(won).status, 400)

    def test_a_replayed_code_ends_the_login(self) -> None:
        """A code is good once; its second use ends what the first one gave (RFC 6749 4.1.2)."""
        code = self.code()
        token = self.redeem(code).json()["refresh_token"]
        self.home.trail.lines.clear()
        self.refuse(self.redeem(code), *GRANT, code)
        self.refuse(self.refresh(token), *GRANT, token)

    def test_codes_of_others(self) -> None:
        """Another verifier, redirect URI or client, an old or made-up code."""
        for changes in ({"code_verifier": "w" * 43}, {"code_verifier": "short"}, {"redirect_uri": f"{CALLBACK}/"},
                        {"redirect_uri": ...}, {"redirect_uri": CALLBACK.replace("7777", "7778")},
                        {"code": "x" * 22}):  # fmt: skip
            with self.subTest(changes=changes):
                code = self.code()
                self.home.trail.lines.clear()
                self.refuse(self.redeem(code, **changes), *GRANT, code)
        code = self.code()
        self.home.trail.lines.clear()
        self.refuse(self.redeem(code, client_id="other"), 401, "invalid_client", "unknown_client", code)
        self.refuse(self.redeem(code, client_secret="x"), 401, "invalid_client", "unknown_client", code)
        self.refuse(self.redeem(code, code_verifier=...), 400, "invalid_request", "malformed", code)
        self.world.advance(61, 10)
        self.refuse(self.redeem(code), *GRANT, code)

    def test_wrong_redirects(self) -> None:
        """Nobody is sent anywhere that is not registered: the user reads a page."""
        for uri in ("https://evil.test/callback", "http://127.0.0.1:7777/other", "http://localhost:7777/callback",
                    "http://127.0.0.1@evil.test/callback", "http://127.0.0.1:7777/callback#x", "javascript:alert(1)",
                    "http://127.0.0.1:7777/callback/../x", "http://127.0.0.1.evil.test/callback", "//evil.test",
                    "http://127.0.0.1:99999/callback", "https://home.test/rrs/code/", "", "http://[::1]/callback",
                    "http://127.0.0.1:7777/callback\r\nX: y", "HTTP://127.0.0.1/callback"):  # fmt: skip
            with self.subTest(uri=uri):
                self.home.trail.lines.clear()
                page = self.browser().ask("GET", self.asked(redirect_uri=uri))
                self.assertEqual(page.status, 400)
                self.assertEqual([line["refusal"] for line in self.home.trail.lines], ["malformed"])
                self.assertNotIn("location", page.headers)
                self.assertNotIn(b"evil.test", page.body)
                self.assertTrue(page.headers["content-type"].startswith("text/html"))

    def test_errors_go_back_to_the_client(self) -> None:
        """What is wrong with a request of a known client comes back with its state (RFC 6749 4.1.2.1, RFC 9207)."""
        for changes, error in (
            ({"response_type": "token"}, "unsupported_response_type"), ({"code_challenge": ...}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"), ({"scope": "admin"}, "invalid_scope"),
            ({"prompt": "none"}, "login_required"), ({"request": "x.y.z"}, "request_not_supported"),
            ({"resource": "https://evil.test"}, "invalid_target"),
        ):  # fmt: skip
            with self.subTest(changes=changes):
                left = self.browser().ask("GET", self.asked(**changes))
                self.assertEqual(left.status, 303)
                answer = dict(parse_qsl(urlsplit(left.headers["location"]).query))
                self.assertEqual(answer, {"error": error, "state": "st ate", "iss": "https://home.test"})

    def test_wrong_passwords(self) -> None:
        """Unknown, suspended and wrongly guessed users read the same; the trail says that it was refused."""
        self.home.add_user("eve", suspended=True)
        pages = set()
        for name, password in (("bob@home.test", "wrong"), ("nobody@home.test", PASSWORD), ("eve@home.test", ""),
                               ("bob@bar.test", PASSWORD), ("bob", PASSWORD), ("", "")):  # fmt: skip
            with self.subTest(name=name):
                page = self.browser().ask("GET", self.asked())
                self.home.trail.lines.clear()
                shown = self.submit(page, password, name)
                self.assertEqual(shown.status, 403)
                pages.add(re.sub(r'value="[^"]*"', "", shown.body.decode()))
                self.assertEqual([line["refusal"] for line in self.home.trail.lines], ["forbidden"])
                self.assertNotIn(PASSWORD, str(self.home.trail.lines))
        self.assertEqual(len(pages), 1)

    def test_guessing(self) -> None:
        """Who guesses has to wait, and a right guess in between does not count."""
        line = self.line(self.home, source="45.7.7.7")
        page = self.browser().ask("GET", self.asked()).body.decode()
        found = re.search(r'name="request" value="([^"]*)"', page)
        assert found is not None
        form = {"request": html.unescape(found[1]), "username": "bob@home.test", "password": "wrong"}
        statuses = [line.form("/authorize", form).status for _ in range(40)]
        self.assertEqual({*statuses}, {403, 429})
        self.assertLess(statuses.count(403), 25)
        last = line.form("/authorize", {**form, "password": PASSWORD})
        self.assertEqual((last.status, "retry-after" in last.headers), (429, True))

    def test_forged_forms(self) -> None:
        """A form that was not shown, was changed, or was shown too long ago."""
        page = self.browser().ask("GET", self.asked())
        found = re.search(r'name="request" value="([^"]*)"', page.body.decode())
        assert found is not None
        sealed = html.unescape(found[1])
        for forged in ("", "x", sealed[:-1], f"A{sealed[1:]}", sealed.replace(".", ""), f"{sealed}x"):
            form = {"request": forged, "username": "bob@home.test", "password": PASSWORD}
            self.assertEqual(self.browser().form("/authorize", form).status, 400)
        self.world.advance(901, 60)
        form = {"request": sealed, "username": "bob@home.test", "password": PASSWORD}
        self.assertEqual(self.browser().form("/authorize", form).status, 400)

    def test_a_suspended_user_is_out(self) -> None:
        """Neither code nor refresh token of a user who was suspended since is good."""
        code, token = self.code(), self.redeem(self.code()).json()["refresh_token"]
        self.home.add_user("bob", suspended=True)
        self.home.trail.lines.clear()
        self.refuse(self.redeem(code), *GRANT, code)
        self.refuse(self.refresh(token), *GRANT, token)

    def test_logout(self) -> None:
        """A revoked refresh token is over; revoking anything else tells nothing."""
        token = self.redeem(self.code()).json()["refresh_token"]
        for revoked in (token, token, "unknown"):
            done = self.browser().form("/revoke", {"client_id": "rrsctl", "token": revoked})
            self.assertEqual((done.status, done.headers["cache-control"]), (200, "no-store"))
        self.home.trail.lines.clear()
        self.refuse(self.refresh(token), *GRANT, token)
        wrong = self.browser().ask("POST", "/revoke", b"{}", Content_Type="application/json")
        self.refuse(wrong, 415, "invalid_request", "unsupported")


class ExternalProvider(AttackCase):
    """bar.test's users log in at login.test, which the settings name."""

    def setUp(self) -> None:
        """A third domain that is only a provider."""
        super().setUp()
        self.login = self.world.domain("login.test")
        provider = parse_issuer("https://login.test")
        self.away = self.world.domain("away.test", lambda own: evolve(own, idp=evolve(own.idp, issuer=provider)))
        self.away.add_user("bob")

    def token(self, **changes: Any) -> str:
        """An access token of the provider for bob."""
        return access(self.login, "bob@away.test", "https://away.test", **changes).text()

    def ask(self, token: str) -> Response:
        """The mailbox."""
        return self.line(self.away).ask("GET", "/api/messages", Authorization=f"Bearer {token}")

    def test_its_tokens_are_accepted(self) -> None:
        """At the client API, for sending and for a 3-legged exchange; our own issuer's tokens no more."""
        self.assertEqual(self.ask(self.token()).status, 200)
        sending = self.line(self.away).ask("GET", "/api/outgoing", Authorization=f"Bearer {self.token()}")
        self.assertEqual(sending.status, 200)
        form = exchange_form(self.away, self.foo, self.token(), ACCESS_TOKEN)
        delegated = self.agent_line(self.away, self.away).form("/token", form)
        self.assertEqual(delegated.status, 200)
        self.assertEqual(self.ask(access(self.away, "bob@away.test").text()).status, 401)
        self.assertEqual(self.ask(delegation(self.away, self.foo, "bob@away.test").text()).status, 401)

    def test_its_tokens_are_not_ours(self) -> None:
        """They become no access token of ours, and are not active here; whoever asks about one asks there."""
        form = exchange_form(self.away, self.away, self.token(), ACCESS_TOKEN, requested_token_type=ACCESS_TOKEN)
        line = self.agent_line(self.away, self.away)
        self.assertEqual(line.form("/token", form).json()["error"], "invalid_target")
        asked = {"token": self.token(), "client_id": "_rra.away.test"}
        self.assertEqual(line.form("/introspect", asked).json(), {"active": False})
        self.assertEqual(line.form("/revoke", asked).status, 200)
        self.assertEqual(self.ask(self.token()).status, 200)

    def test_no_login_here(self) -> None:
        """The embedded provider's pages and grants are not there, and metadata does not promise them."""
        for target in ("/authorize", "/rrs/code"):
            self.assertEqual(self.line(self.away).ask("GET", target).status, 404)
        form = {"grant_type": "authorization_code", "client_id": "rrsctl", "code": "x", "code_verifier": VERIFIER}
        self.assertEqual(self.line(self.away).form("/token", form).json()["error"], "unsupported_grant_type")
        metadata = self.line(self.away).ask("GET", "/.well-known/oauth-authorization-server").json()
        self.assertNotIn("authorization_code", metadata["grant_types_supported"])

    def test_its_keys_rotate(self) -> None:
        """A token of a new key is good as soon as the keys may be fetched again."""
        self.assertEqual(self.ask(self.token()).status, 200)
        self.login.whole.means.doors.keyring.rotate()
        self.world.advance(61, 10)
        self.login.whole.means.doors.keyring.rotate()
        self.assertEqual(self.ask(self.token()).status, 200)

    def test_it_is_down(self) -> None:
        """Nobody is let in or told that their token is bad while its keys cannot be had."""
        del self.world.internet.listeners[self.world.internet.hosts["login.test"].address, 443]
        answer = self.ask(self.token())
        self.assertEqual((answer.status, answer.json()["reason"]), (503, "unavailable"))
        self.assertIn("retry-after", answer.headers)

    def test_it_says_that_it_is_another(self) -> None:
        """A provider whose discovery document names another issuer is believed nothing."""
        world = World(Path(self.mktemp()))
        login = world.domain("login.test", lambda own: evolve(own, domain=evolve(own.domain,
                             issuer=parse_issuer("https://other.test"))))  # fmt: skip
        provider = parse_issuer("https://login.test")
        away = world.domain("away.test", lambda own: evolve(own, idp=evolve(own.idp, issuer=provider)))
        away.add_user("bob")
        token = access(login, "bob@away.test", "https://away.test", iss="https://login.test").text()
        answer = Line.to(world, "away.test").ask("GET", "/api/messages", Authorization=f"Bearer {token}")
        self.assertEqual((answer.status, answer.json()["reason"]), (401, "unproven"))
