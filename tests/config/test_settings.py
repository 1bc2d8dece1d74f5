"""The whole configuration, and what its parts say about each other."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.ini import Misconfigured
from rrsd.config.settings import Settings, is_within, parse_settings
from rrsd.core.values.addresses import parse_domain

LEAST = "[domain]\nname = foo.test\nissuer = https://id.foo.test\n[rs]\norigin = https://rs.foo.test\n"
"""The least that a configuration has to say."""


class Whole(SynchronousTestCase):
    """From text to settings."""

    def errors_of(self, text: str) -> list[str]:
        """The mistakes that `text` is refused for."""
        refused = self.assertRaises(Misconfigured, parse_settings, text)
        return [str(error) for error in refused.errors]

    def test_least(self) -> None:
        """Domain, issuer and resource server are all that must be said."""
        settings = parse_settings(LEAST)
        self.assertIsInstance(settings, Settings)
        self.assertEqual(str(settings.domain.issuer), "https://id.foo.test")

    def test_nothing(self) -> None:
        """An empty file is answered with everything that is missing."""
        self.assertEqual(len(self.errors_of("")), 3)

    def test_all_errors_in_the_order_of_the_file(self) -> None:
        """Unreadable lines and wrong values are reported together."""
        errors = self.errors_of("garbage\n" + LEAST + "[rra]\nactive = many\nmore garbage\n")
        self.assertEqual(
            [error.split(":")[0] for error in errors], ["file (line 1)", "[rra] active (line 8)", "[rra] (line 9)"]
        )

    def test_issuer_of_another_domain(self) -> None:
        """An issuer that does not lie in the domain could not speak for it."""
        text = LEAST.replace("https://id.foo.test", "https://id.bar.test")
        self.assertEqual(
            self.errors_of(text),
            [
                "[domain] issuer: its host is neither foo.test nor in it; "
                "write an https URL in foo.test, as in https://id.foo.test"
            ],
        )

    def test_agent_of_another_domain(self) -> None:
        """The agent's name lies in the domain whose users it acts for."""
        (error,) = self.errors_of(LEAST + "[rra]\nclient = _rra.bar.test\n")
        self.assertIn("write OU.foo.test", error)

    def test_limits_that_contradict_each_other(self) -> None:
        """A default above its maximum is an error, for each such pair."""
        errors = self.errors_of(
            LEAST + "lifetime = 9d\nlongest = 8d\n[rra]\nactive = 3\n[identity]\nleast_kept = 2d\n[front]\nlisten =\n"
        )
        self.assertEqual(len(errors), 4)

    def test_t12_limits_of_none(self) -> None:
        """A limit of none is a mistake, found before the first request that nothing can be calculated for."""
        for section, key in (("sts", "failures_per_address"), ("idp", "attempts_per_user"), ("rs", "unproven")):
            text = LEAST if section == "rs" else f"{LEAST}[{section}]\n"
            self.assertEqual(
                self.errors_of(f"{text}{key} = 0\n"),
                [f"[{section}] {key}: with less than 1 nothing works; write 1 or more"],
            )

    def test_methods_of_proof(self) -> None:
        """At least one, and none twice: the order decides."""
        for methods, said in (("", "nobody could be proved"), ("dane\n  webfinger\n  dane", "twice")):
            (error,) = self.errors_of(LEAST + f"[identity]\nmethods = {methods}\n")
            self.assertIn(said, error)
        parse_settings(LEAST + "[identity]\nmethods = issuer\n")

    def test_w05_a_key_that_is_gone_before_what_it_signed(self) -> None:
        """A grace covers every token and clocks that differ; rotation leaves time to learn the next key."""
        for grace, said in (("629s", ["[idp] access_life"]), ("329s", ["[idp] access_life", "[sts] life"])):
            errors = self.errors_of(LEAST + f"[keys]\ngrace = {grace}\n")
            self.assertEqual(len(errors), len(said))
            for error, name in zip(errors, said, strict=True):
                self.assertIn(f"[keys] grace: tokens outlive the key that signed them: {name} is longer", error)
        parse_settings(LEAST + "[keys]\ngrace = 630s\n")
        (error,) = self.errors_of(LEAST + "[keys]\nrotate_every = 23h\n")
        self.assertIn("[keys] rotate_every: the next key would sign before everybody knows it", error)
        parse_settings(LEAST + "[keys]\nrotate_every = 0s\n")

    def test_within(self) -> None:
        """A name lies in a domain when labels say so, not letters."""
        foo = parse_domain("foo.test")
        self.assertTrue(is_within(foo, foo))
        self.assertTrue(is_within(parse_domain("id.foo.test"), foo))
        self.assertFalse(is_within(parse_domain("evilfoo.test"), foo))
        self.assertFalse(is_within(parse_domain("foo.test.bar.test"), foo))

    def test_mail_that_cannot_be_meant(self) -> None:
        """What would do nothing, or harm, is a mistake that says what to write."""
        for key, bad, right in (
            ("flush", ("postqueue -i", "postqueue -f {ID}"), "as in postqueue -i {id}"),
            ("recipient_delimiter", ("@", "+@", "ab"), "write characters as in Postfix"),
            ("authserv_id", ("mx foo.test", "mx.foo.test;", "mx.foo.test; dkim=pass", '"mx"'), "one name without"),
            (
                "prequeue",
                ("tcp:10024:interface=127.0.0.1",),
                "write outbound = tcp:10025:interface=127.0.0.1 beside it",
            ),
            ("next_log", ("mail.log", "./mail.log", "~/mail.log"), "as in /var/log/mail.log"),
        ):
            for value in bad:
                (error,) = self.errors_of(LEAST + f"[mail]\n{key} = {value}\n")
                self.assertTrue(error.startswith(f"[mail] {key}: "), error)
                self.assertIn(right, error)
        good = "flush = postqueue -i {id}\nrecipient_delimiter = +-\nauthserv_id = mx-1.foo.test\n"
        parse_settings(f"{LEAST}[mail]\n{good}next_log = /var/log/mail.log\n")

    def test_mail_that_is_switched_off(self) -> None:
        """Empty means none, in the file too."""
        mail = parse_settings(LEAST + "[mail]\nflush =\nrecipient_delimiter =\n").mail
        self.assertEqual((mail.flush, mail.recipient_delimiter), (None, None))

    def test_figures_that_would_stop_all_mail(self) -> None:
        """A limit of 0 refused every message, and the check called it right; so with keys that prove nothing."""
        for key, bad, right in (
            ("most_message", ("0", "1KiB"), "write 64KiB or more; there is no word for no limit"),
            ("most_mail", ("0",), "write 64KiB or more"),
            ("most_recipients", ("0",), "write 1 or more"),
            ("most_placeholder", ("0", "100"), "write 64KiB or more"),
            ("most_placeholder", ("1TiB",), "write 32MiB or less"),
            ("dkim_bits", ("0", "512", "1023", "8193"), "write from 1024 to 8192"),
            ("remembered", ("0s", "1h", "4000d"), "write from 1d to 365d"),
            ("linger", ("11min", "3d"), "write from 0s to 10min"),
            ("thresholds", ("alice@foo.test=1KiB bar.test=2 alice@FOO.test=0",), "write each name once"),
        ):
            for value in bad:
                (error,) = self.errors_of(LEAST + f"[mail]\n{key} = {value}\n")
                self.assertTrue(error.startswith(f"[mail] {key}: "), error)
                self.assertIn(right, error)
        good = "most_message = 64KiB\nmost_placeholder = 32MiB\ndkim_bits = 1024\nlinger = 0s\nremembered = 1d\n"
        parse_settings(f"{LEAST}[mail]\n{good}thresholds = alice@foo.test=1KiB foo.test=1KiB\n")
        errors = self.errors_of(
            f"{LEAST}most_recipients = 0\n[rra]\nmost_message = 0\nmost_parts = 0\nactive_per_recipient = 0\n"
        )
        self.assertEqual(len(errors), 4)

    def test_mail_that_goes_round_for_ever(self) -> None:
        """A way on that leads to a listener of ours, and two listeners in one place."""
        here = "interface=127.0.0.1"
        for wrong, about in (
            (f"outbound = tcp:10026:{here}", "outbound_next: it is our own outbound"),
            ("outbound = tcp:25\noutbound_next = tcp:localhost:25", "outbound_next: it is our own outbound"),
            (f"inbound = tcp:24:{here}\ninbound_next = tcp:host=127.0.0.1:port=24", "inbound_next: it is our own"),
            ("inbound = unix:/run/lmtp:mode=600\ninbound_next = unix:path=/run/lmtp", "inbound_next: it is our own"),
            ("inbound = tcp6:24:interface=\\:\\:1\ninbound_next = tcp:\\:\\:1:24", "inbound_next: it is our own"),
            (f"outbound = tcp:25:{here}\ninbound = tcp:25:{here}", "inbound: it is where outbound listens"),
            (f"outbound = tcp:25:{here}\nmilter = tcp:port=25", "milter: it is where outbound listens"),
            (f"outbound = tcp:25:{here}\nprequeue = tcp:10027:{here}", "prequeue_next: it is our own prequeue"),
        ):
            (error,) = self.errors_of(f"{LEAST}[mail]\n{wrong}\n")
            self.assertTrue(error.startswith(f"[mail] {about}"), error)
        for good in (
            f"outbound = tcp:25:{here}\noutbound_next = tcp:192.0.2.1:25", f"inbound = tcp:10026:{here}",
            f"outbound = tcp:25:{here}\ninbound = tcp:25:interface=127.0.0.2",
            f"outbound = tcp:0:{here}\ninbound = tcp:0:{here}", f"outbound = x\ninbound = tcp:x:{here}",
        ):  # fmt: skip
            parse_settings(f"{LEAST}[mail]\n{good}\n")

    def test_o07_resolver_elsewhere(self) -> None:
        """O-07: a resolver that is not on this host is refused: anybody on the way could set its AD bit."""
        for text in ("10.0.0.1 53", "9.9.9.9", "fe80::1", "localhost", "127.0.0.1:53"):
            (error,) = self.errors_of(LEAST + f"[dns]\nresolver = {text}\n")
            self.assertIn("write a validating resolver on this host, as in 127.0.0.1 53", error)
        for text in ("127.0.0.1", "::1 5353"):
            self.assertEqual(parse_settings(LEAST + f"[dns]\nresolver = {text}\n").dns.resolver, text)
