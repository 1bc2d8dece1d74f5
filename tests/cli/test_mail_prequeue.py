"""rrsctl mail setup and check, with a filter before the queue."""

import os
from collections.abc import Mapping

from rrsd.cli.mail.lines import Around, lines_of
from rrsd.cli.mail.postconf import compared, passed_by
from rrsd.config.settings import parse_settings
from tests.cli import test_mail
from tests.cli.test_mail import IN, OUT, Server

AHEAD = "tcp:10024:interface=127.0.0.1"


class Setup(test_mail.MailCase):
    """What Postfix is told."""

    def lines(self, *words: str, **mail: str) -> Mapping[str, str]:
        """The values by name."""
        status, made = self.rrsctl("--json", "mail", "setup", *words, outbound=OUT, inbound=IN, **mail)
        self.assertEqual(status, 0, made.err.getvalue())
        self.plan.config.unlink()
        return {line["name"]: line["value"] for line in made.document["lines"]}

    def test_both_filters(self) -> None:
        """One is before the queue of submission; what it cannot do goes through the other, and what programs send."""
        lines = self.lines("--submission", "smtps/inet", prequeue=AHEAD)
        self.assertEqual(lines["smtps/inet/smtpd_proxy_filter"], "127.0.0.1:10024")
        self.assertEqual((lines["smtps/inet/content_filter"], lines["smtps/inet/smtpd_milters"]), ("", ""))
        self.assertEqual(lines["pickup/unix/content_filter"], "rrsdout:[127.0.0.1]:10025")
        for port, content_filter, milter, is_mapped in (
            (10026, "", "inet:127.0.0.1:8891", False),
            (10027, "", "inet:127.0.0.1:8891", True),
            (10028, "rrsdout:[127.0.0.1]:10025", "", True),
        ):
            name = f"127.0.0.1:{port}/inet"
            self.assertEqual(lines[name], f"127.0.0.1:{port} inet n - n - - smtpd")
            self.assertEqual(
                (lines[f"{name}/content_filter"], lines[f"{name}/smtpd_milters"]), (content_filter, milter)
            )
            self.assertEqual("no_address_mappings" not in lines[f"{name}/receive_override_options"], is_mapped)

    def test_behind_the_queue_alone(self) -> None:
        """Who goes back to it is told to."""
        lines = self.lines()
        self.assertEqual(lines["submission/inet/smtpd_proxy_filter"], "")
        self.assertNotIn("127.0.0.1:10027/inet", lines)

    def test_postfix_cannot(self) -> None:
        """No smtpd behind a unix socket."""
        for mail in ({"prequeue": "unix:/run/x"}, {"prequeue": AHEAD, "prequeue_later": "unix:/run/x"}):
            self.assertEqual(self.rrsctl("mail", "setup", outbound=OUT, **mail)[0], os.EX_DATAERR)
            self.plan.config.unlink()


class Looked(test_mail.CheckCase):
    """What runs."""

    def setUp(self) -> None:
        """Three more servers."""
        super().setUp()
        every = ("PIPELINING", "8BITMIME", "DSN", "SMTPUTF8", "XFORWARD NAME ADDR IDENT")
        for name in ("prequeue", "prequeue_next", "prequeue_later"):
            self.servers[name] = Server(*every)
            self.addCleanup(self.servers[name].close)

    def settings_text(self, **changes: str) -> str:
        """An INI file that names them too."""
        ports = {name: self.servers[name].port for name in ("prequeue", "prequeue_next", "prequeue_later")}
        more = {name: f"tcp:127.0.0.1:{port}" for name, port in ports.items() if name != "prequeue"}
        return super().settings_text(**{
            "prequeue": f"tcp:{ports['prequeue']}:interface=127.0.0.1", **more, **changes,
        })  # fmt: skip

    def test_before_the_queue(self) -> None:
        """Each of the three is missed."""
        for name in ("prequeue", "prequeue_next", "prequeue_later"):
            self.servers[name].close()
        errors = self.errors()
        self.assertEqual(set(errors), {"[mail] prequeue", "[mail] prequeue_next", "[mail] prequeue_later"})
        self.assertIn("the daemon is not running", errors["[mail] prequeue"])

    def test_filter_that_is_left_over(self) -> None:
        """INI file and master.cf have to be of one mind."""
        text = self.settings_text().replace("\nprequeue = ", "\n#prequeue = ")
        lines = lines_of(parse_settings(text), Around())
        name = "submission/inet/smtpd_proxy_filter"
        found = {
            each.about: each
            for each in compared(self.postconf({name: "127.0.0.1:10024", "submission/inet": "there"}), lines)
        }
        self.assertEqual(found[f"master.cf {name}"].level, "error")

    def test_what_passes_by(self) -> None:
        """Copies and checks that Postfix makes while it queues, and domains whose addresses it expands."""
        settings = parse_settings(self.settings_text(aliased="lists.foo.test"))
        for said, abouts in (
            ({}, []),
            ({"always_bcc": "archive@foo.test"}, ["main.cf always_bcc"]),
            ({"header_checks": "pcre:/etc/postfix/checks"}, ["main.cf header_checks"]),
            ({"virtual_alias_domains": "hash:/etc/aliases", "relay_domains": "foo.test, lists.foo.test"}, []),
            ({"virtual_alias_domains": "foo.test, old.test new.test"}, ["[mail] aliased"]),
        ):
            found = list(passed_by(self.postconf(said), settings))
            self.assertEqual([each.about for each in found], abouts, said)
            self.assertLessEqual({each.level for each in found}, {"error"})
        self.assertIn("aliased = lists.foo.test old.test new.test", found[0].text)
        alone = parse_settings(self.settings_text().replace("\nprequeue = ", "\n#prequeue = "))
        self.assertEqual(list(passed_by(self.postconf({"always_bcc": "x"}), alone)), [])
