"""Files, screen, trail and preparation of the demo."""

import base64
import hashlib
import json
import zlib
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.demo.daemons import free_ports, host_table, prepare, socket_path
from rrsd.cli.demo.files import write_noise, write_photograph
from rrsd.cli.demo.screen import Screen, claim_lines, is_live, speed
from rrsd.cli.demo.trail import Told, claims_in, nine_steps, read_trail, resumed_at
from rrsd.cli.demo.verb import make_room
from rrsd.config.settings import parse_settings
from rrsd.core.refusals import Conflict
from rrsd.core.values.instants import instant
from tests.cli.doubles import NOW

NI = "ni:///sha-256;" + "A" * 43
_SENT = {"what": "retrieve", "outcome": "granted", "resource": NI, "took": 0.012, "evidence": "webfinger"}

_PULLED = {
    "what": "pull",
    "outcome": "granted",
    "resource": NI,
    "took": 1.5,
    "size": 1000,
    "evidence": "1000 bytes verified, 600 of them in this attempt",
}


def told(senders: list[dict[str, Any]], recipients: list[dict[str, Any]]) -> Told:
    """What there is to tell."""
    return Told("foo.test", "bar.test", "bob@bar.test", NI, recipients, senders, {"sub": "bob@bar.test"}, 1000, 2.5)


class Files(SynchronousTestCase):
    """Real input."""

    def test_noise(self) -> None:
        """The file has the size and the sum that are said, to the byte."""
        path = Path(self.mktemp())
        for size in (0, 1, 8 * 1024 * 1024 + 3):
            made = write_noise(path, size, lambda _: None)
            self.assertEqual((made.size, path.stat().st_size), (size, size))
            self.assertEqual(made.sha256, hashlib.sha256(path.read_bytes()).hexdigest())

    def test_photograph(self) -> None:
        """The photograph is a PNG whose chunks are whole."""
        path = Path(self.mktemp())
        data = path.read_bytes() if write_photograph(path).size else b""
        self.assertTrue(data.startswith(b"\x89PNG\r\n\x1a\n"))
        at, names = 8, []
        while at < len(data):
            length = int.from_bytes(data[at : at + 4], "big")
            body = data[at + 4 : at + 8 + length]
            self.assertEqual(zlib.crc32(body), int.from_bytes(data[at + 8 + length : at + 12 + length], "big"))
            names.append(body[:4])
            at += 12 + length
        self.assertEqual(names, [b"IHDR", b"IDAT", b"IEND"])


class Screens(SynchronousTestCase):
    """What is shown."""

    def test_plain(self) -> None:
        """Without a terminal there are no control characters, and progress is said at every quarter only."""
        out = StringIO()
        screen = Screen(out, lambda: 0.0, False)
        for done in range(0, 101):
            screen.progress("pull", done << 20, 100 << 20)
        screen.progress("letter", 1, 1)
        screen.settle()
        screen.title("Title")
        screen.quiet("small")
        self.assertNotIn("\x1b", out.getvalue())
        self.assertEqual((out.getvalue().count("pull"), out.getvalue().count("letter")), (4, 0))

    def test_live(self) -> None:
        """On a terminal progress is one line that is drawn over itself, ten times a second at most."""
        out, clock = StringIO(), iter(n / 100 for n in range(1000))
        screen = Screen(out, lambda: next(clock), True)
        for done in range(100):
            screen.progress("pull", done << 20, 100 << 20, "film")
        screen.settle()
        self.assertNotIn("\n", out.getvalue())
        self.assertLess(out.getvalue().count("\r"), 40)

    def test_terminals(self) -> None:
        """NO_COLOR and a dumb terminal are respected."""
        self.assertFalse(is_live(StringIO(), {}))

    def test_speed(self) -> None:
        """A speed is said where it means something."""
        self.assertEqual(speed(1 << 30, 2.0), "1.0 GiB in 2.0 s, 512.0 MiB/s")
        self.assertEqual(speed(10, 2.0), "10 B in 2.0 s")

    def test_claims(self) -> None:
        """Claims of any shape are one line each."""
        claims = {"sub": "bob", "act": {"sub": "_rra.bar.test"}, "aud": ["a", "b"], "x\n": "\x1b[2J"}
        shown = claim_lines(claims, "  ")
        self.assertEqual(shown[1:3], ["  act  {sub: _rra.bar.test}", "  aud  a, b"])
        self.assertNotIn("\x1b", "".join(shown))


class Trails(SynchronousTestCase):
    """The nine steps."""

    def test_read(self) -> None:
        """A line that a crash cut off is passed over."""
        self.assertEqual(read_trail('{"what": "pull"}\n5\n{"wha'), [{"what": "pull"}])

    def test_token(self) -> None:
        """The claims of a token are shown without its signature; what is no token has none."""
        claims = base64.urlsafe_b64encode(json.dumps({"sub": "bob"}).encode()).rstrip(b"=").decode()
        self.assertEqual(claims_in(f"e30.{claims}.c2ln"), {"sub": "bob"})
        self.assertEqual([claims_in("x"), claims_in("a.NQ.c"), claims_in("a.%.c")], [{}, {}, {}])

    def test_nine(self) -> None:
        """Each step has its number in order, with claims, times and bytes from the trails."""
        made = {"what": "impersonate", "outcome": "granted", "claims": {"iss": "_rra.bar.test"}}
        asked = {"what": "exchange", "outcome": "granted", "took": 0.02}
        given = {"what": "delegate", "outcome": "granted", "claims": {"act": {"sub": "_rra.bar.test"}}, "took": 0.003}
        other = {"what": "delegate", "outcome": "granted", "claims": {"act": {"sub": "other"}}}
        legs = {"what": "exchange", "outcome": "granted", "took": 0.5, "evidence": "3-legged"}
        steps = nine_steps(told([_SENT, _SENT], [made, given, asked, other, legs, _PULLED]))
        self.assertEqual([step.number for step in steps], [str(n) for n in range(1, 10)])
        self.assertEqual(steps[0].claims, {"sub": "bob@bar.test"})
        self.assertEqual(steps[1].claims, {"iss": "_rra.bar.test"})
        self.assertEqual((steps[2].measured, "3-legged" in steps[2].text), ("20 ms", True))
        self.assertEqual((steps[3].measured, steps[3].claims), ("3 ms", given["claims"]))
        self.assertEqual((steps[4].measured, steps[5].measured), ("2 requests", "12 ms"))
        self.assertIn("600 of them in this attempt; 1.5 s", steps[6].measured)
        self.assertIn("1000 B in 2.5 s", steps[8].measured)

    def test_silent_trails(self) -> None:
        """Trails that say nothing make poorer steps, not failures."""
        self.assertEqual(len(nine_steps(told([], []))), 9)
        self.assertIsNone(resumed_at(told([], [])))

    def test_resumed(self) -> None:
        """Where the pull went on is what its last attempt did not fetch."""
        self.assertEqual(resumed_at(told([], [_PULLED])), 400)
        whole = _PULLED | {"evidence": "1000 bytes verified, 1000 of them in this attempt"}
        self.assertIsNone(resumed_at(told([], [whole])))


class Preparation(SynchronousTestCase):
    """Two domains in a folder."""

    def test_prepared(self) -> None:
        """Both INI files are right and know both hosts; the authority is one."""
        root = Path(self.mktemp()).absolute()
        daemons = prepare(root, ("foo.test", "bar.test"), instant(NOW), lambda name: socket_path(root, name, root))
        for name, daemon in daemons.items():
            text = daemon.plan.config.read_text()
            self.assertEqual(str(parse_settings(text).domain.name), name)
            self.assertIn("[dns]", text)
            for other, port in ((other, daemons[other].port) for other in daemons):
                self.assertIn(f"{other} = 127.0.0.1 {port}", text)
        self.assertEqual(set(host_table(daemons)), {"foo.test:443", "bar.test:443"})

    def test_room(self) -> None:
        """What an earlier demo left goes; what is somebody else's stays, and the demo does not begin."""
        root = Path(self.mktemp())
        make_room(root)
        (root / "foo.test").mkdir()
        (root / "message.eml").touch()
        make_room(root)
        self.assertEqual([entry.name for entry in root.iterdir()], [".rrsd-demo"])
        (root / ".rrsd-demo").unlink()
        (root / "mine").touch()
        self.assertRaises(Conflict, make_room, root)
        self.assertTrue((root / "mine").exists())

    def test_ports(self) -> None:
        """Ports are different."""
        ports = free_ports(5)
        self.assertEqual((len(set(ports)), [each for each in ports if not 1024 < each < 32768]), (5, []))

    def test_long_paths(self) -> None:
        """A socket whose path would be too long goes elsewhere."""
        self.assertEqual(socket_path(Path("/d"), "foo.test", Path("/s")), Path("/d/foo.test/data/admin.sock"))
        self.assertEqual(socket_path(Path("/" + "d" * 90), "foo.test", Path("/s")), Path("/s/foo.test.sock"))
