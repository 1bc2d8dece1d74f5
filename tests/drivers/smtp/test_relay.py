"""The relay and mail servers that misbehave: nothing is taken for a yes that is none."""

import functools
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, Refusal, Unavailable, Unsupported
from rrsd.core.values.envelopes import ReversePath
from tests.drivers.smtp.scripts import BOB, CAROL, NORMAL, Scene, Script, blocks, envelope

MESSAGE = [b"Subject: x\r\n\r\n", b".dot\r\n"]
PLAIN = {"EHLO": "250 mx", "LHLO": "250 mx"}
MANY = [f"user{number}@bar.test" for number in range(200)]


class RelayCase(SynchronousTestCase):
    """What comes of one message."""

    def codes(self, scene: Scene, *recipients: str, message: Any = MESSAGE) -> list[int]:
        """The replies' codes."""
        return [reply.code for reply in self.successResultOf(scene.start(message, *recipients))]

    def refusal(self, scene: Scene, *recipients: str, message: Any = MESSAGE, wait: float = 0) -> Refusal:
        """Why nothing became of it, after that many seconds; the connection is gone then."""
        result = scene.start(message, *recipients)
        if wait:
            self.assertNoResult(result)
            scene.internet.advance(wait, wait / 10)
        failure = self.failureResultOf(result, Refusal)
        scene.internet.pump()
        self.assertTrue(all(script.is_lost for script in scene.server.scripts))
        found: Refusal = failure.value
        return found


class Wrong(RelayCase):
    """Before anything of the message was sent."""

    def test_no_greeting(self) -> None:
        """Silence, refusal, a goodbye, or something else than SMTP."""
        self.assertIsInstance(self.refusal(Scene.of({"": None}), wait=310), Unavailable)
        for greeting in ("554 no", "421 later", "SSH-2.0-OpenSSH", "354 go on", "99 x", "x" * 5000):
            self.assertIsInstance(self.refusal(Scene.of({"": greeting})), Unavailable, greeting)
        self.assertIsInstance(self.refusal(Scene.of({"": Script.hang_up})), Unavailable)

    def test_hello_refused(self) -> None:
        """There is no way down to HELO: without extensions nothing could be promised."""
        for hello in ("502 no such command", "250-mx\r\n251 other code"):
            self.assertIsInstance(self.refusal(Scene.of({"EHLO": hello})), Unavailable)

    def test_reply_without_end(self) -> None:
        """Lines that go on for ever are not kept."""
        for reply in ("250-x\r\n" * 150, "250 " + "x" * 9000):
            self.assertIsInstance(self.refusal(Scene.of({"MAIL": reply})), Unavailable)
        self.assertIsInstance(self.refusal(Scene.of({**PLAIN, "MAIL": "250-x"}), wait=310), Unavailable)

    def test_replies_that_nobody_asked_for(self) -> None:
        """They are never taken for the replies to what comes later."""
        for greeting in ("220 mx\r\n250 a\r\n250 b\r\n250 c", "220 mx\r\n" + "250 ok\r\n" * 100):
            self.assertIsInstance(self.refusal(Scene.of({"": greeting})), Unavailable)
        self.assertIsInstance(self.refusal(Scene.of({"DATA": "354 go on\r\n250 kept"})), Unavailable)

    def test_goodbye_in_the_middle(self) -> None:
        """421 to any command is for later, whatever came before."""
        for verb in ("EHLO", "MAIL", "RCPT", "DATA", "."):
            for greeting in (NORMAL["EHLO"], "250 mx"):
                scene = Scene.of({"EHLO": greeting, verb: "421 closing"})
                self.assertIsInstance(self.refusal(scene), Unavailable, verb)

    def test_recipients_refused(self) -> None:
        """Each hears what the server said about it; nobody left, no message."""
        for hello in (NORMAL["EHLO"], "250 mx"):
            scene = Scene.of({"EHLO": hello, "RCPT": ["250 ok", "550 no", "450 later"]})
            self.assertEqual(self.codes(scene, BOB, CAROL, "dave@bar.test"), [250, 550, 450])
            scene = Scene.of({"EHLO": hello, "RCPT": "550 no", "DATA": "554 nobody"})
            self.assertEqual(self.codes(scene, BOB, CAROL), [550, 550])
            scene = Scene.of({"EHLO": hello, "RCPT": "550 no"})
            self.assertEqual(self.codes(scene), [550])
            self.assertEqual(bytes(scene.last.got).replace(b"QUIT\r\n", b""), b"")

    def test_sender_refused(self) -> None:
        """Everybody hears it, and no message is sent even if the server would like one."""
        for hello in (NORMAL["EHLO"], "250 mx"):
            scene = Scene.of({"EHLO": hello, "MAIL": "552 too big", "RCPT": "503 no", "DATA": "503 no"})
            self.assertEqual(self.codes(scene, BOB, CAROL), [552, 552])
            self.assertEqual(self.codes(Scene.of({"EHLO": hello, "MAIL": "452 full"})), [452])

    def test_data_refused(self) -> None:
        """Those who were taken are refused then."""
        for hello in (NORMAL["EHLO"], "250 mx"):
            scene = Scene.of({"EHLO": hello, "RCPT": ["550 no", "250 ok"], "DATA": "451 later"})
            self.assertEqual(self.codes(scene, BOB, CAROL), [550, 451])

    def test_data_answered_with_a_yes(self) -> None:
        """A 250 to DATA is no promise, nor is a 354 to anything else."""
        for hello in (NORMAL["EHLO"], "250 mx"):
            self.assertIsInstance(self.refusal(Scene.of({"EHLO": hello, "DATA": "250 ok"})), Unavailable)
            for verb in ("MAIL", "RCPT", "."):
                self.assertIsInstance(self.refusal(Scene.of({"EHLO": hello, verb: "354 go on"})), Unavailable)

    def test_what_the_server_cannot_take(self) -> None:
        """Known before anything is said."""
        scene = Scene.of({})
        sender = ReversePath("é@foo.test", is_utf8=True)
        self.failureResultOf(
            scene.internet.run(scene.relay.send(evolve(envelope(), sender=sender), blocks(*MESSAGE))), Unsupported
        )

    def test_many_recipients(self) -> None:
        """More than are pipelined at a time; in LMTP each has a reply of its own in the end."""
        for hello in (NORMAL["EHLO"], "250 mx"):
            self.assertEqual(self.codes(Scene.of({"EHLO": hello}), *MANY), [250] * 200)
            ends = "\r\n".join(["250 kept", "452 full"] * 100)
            scene = Scene.of({"LHLO": hello, ".": ends}, is_lmtp=True)
            self.assertEqual(self.codes(scene, *MANY), [250, 452] * 100)

    def test_few_turns(self) -> None:
        """With PIPELINING everything before the message goes out at once."""
        held: list[int] = []

        def look(script: Script) -> None:
            held.append(len(script.rest))
            script.say("250 ok")

        self.assertEqual(self.codes(Scene.of({"MAIL": look})), [250])
        self.assertEqual(held, [len(f"RCPT TO:<{BOB}>\r\nDATA\r\n")])
        self.assertEqual((self.codes(Scene.of({**PLAIN, "MAIL": look})), held[-1]), ([250], 0))


class Midway(RelayCase):
    """From the first byte of the message to the last reply."""

    def test_lost_before_the_end(self) -> None:
        """No end was sent, and nobody has the message."""
        scene = Scene.of({"block": Script.hang_up})
        self.assertIsInstance(self.refusal(scene, message=endless()), Unavailable)
        self.assertFalse(scene.last.got.endswith(b"\r\n.\r\n"))

    def test_lost_after_the_end(self) -> None:
        """Nobody knows: come again."""
        for end in (Script.hang_up, "250-kept"):
            self.assertIsInstance(self.refusal(Scene.of({".": end}), wait=0 if callable(end) else 1300), Unavailable)

    def test_cut_at_every_byte(self) -> None:
        """Of everything that a server says: a yes is one when the whole of it has come."""
        two = "250-2.0.0 as\r\n250 4A"
        for is_lmtp, hello in ((False, "EHLO"), (True, "LHLO")):
            for step, text in {"": "220 mx", hello: NORMAL[hello], "MAIL": "250 ok", "RCPT": two, ".": two}.items():
                for most in range(len(text) + 2):
                    some = functools.partial(Script.say_some, most=most, what=text)
                    refusal = self.refusal(Scene.of({step: some}, is_lmtp=is_lmtp))
                    self.assertIsInstance(refusal, Unavailable, (step, most))
                self.assertEqual(self.codes(Scene.of({step: text}, is_lmtp=is_lmtp)), [250], step)

    def test_lost_after_the_yes(self) -> None:
        """What was said was said: the message does not come again."""

        def keep(script: Script) -> None:
            script.say("250 kept")
            script.hang_up()

        self.assertEqual(self.codes(Scene.of({".": keep})), [250])

    def test_early_no(self) -> None:
        """The rest is not sent, and the reply counts."""
        scene = Scene.of({"block": lambda script: script.say("552 too big") if len(script.got) < 70_000 else None})
        self.assertEqual(self.codes(scene, message=endless()), [552])
        self.assertLess(len(scene.last.got), 1 << 20)
        scene.internet.pump()
        self.assertTrue(scene.last.is_lost)

    def test_early_yes(self) -> None:
        """It cannot be about a message that has not ended."""
        for early in ("250 kept", "421 closing"):
            said: list[str] = []

            def say(script: Script, early: str = early, said: list[str] = said) -> None:
                if not said:
                    said.append(early)
                    script.say(early)

            self.assertIsInstance(self.refusal(Scene.of({"block": say}), message=endless()), Unavailable)

    def test_never_reading(self) -> None:
        """What is held is a socket's worth, the source waits, and in the end the server is given up."""
        scene = Scene.of({"block": Script.stop_reading})
        taken: list[int] = []
        result = scene.start(endless(taken))
        self.assertNoResult(result)
        self.assertLessEqual(sum(taken), 4 * 65536)
        scene.internet.advance(170, 10)
        self.assertNoResult(result)
        scene.internet.advance(20, 10)
        self.failureResultOf(result, Unavailable)

    def test_slow_reading(self) -> None:
        """The source is asked for more only as the server takes it."""
        scene = Scene.of({"block": Script.stop_reading})
        taken: list[int] = []
        result = scene.start(endless(taken, 100))
        while not result.called:
            self.assertLessEqual(sum(taken) - len(scene.last.got), 4 * 65536)
            scene.last.transport.resumeProducing()  # type: ignore[union-attr]
            scene.internet.pump()
        self.assertEqual([reply.code for reply in self.successResultOf(result)], [250])
        self.assertEqual(len(scene.last.got), 100 * 65536 + 3)

    def test_source_fails(self) -> None:
        """The server never sees an end."""

        async def broken() -> AsyncIterator[bytes]:
            yield b"half\r\n"
            raise Unavailable("gone")

        for message, kind in ((broken(), Unavailable), ([b"x\ny\r\n"], Malformed), ([b"x\r"], Malformed)):
            scene = Scene.of({})
            self.assertIsInstance(self.refusal(scene, message=message), kind)
            self.assertNotIn(b"\r\n.\r\n", scene.last.got)

    def test_fewer_replies(self) -> None:
        """Who was answered is answered; the others come again."""
        two = (BOB, CAROL)

        def leave(script: Script) -> None:
            script.say("250 kept")
            script.hang_up()

        self.assertEqual(self.codes(Scene.of({".": leave}, is_lmtp=True), *two), [250, 451])
        silent = Scene.of({".": "250 kept"}, is_lmtp=True)
        result = silent.start(MESSAGE, *two)
        silent.internet.advance(1300, 100)
        self.assertEqual([reply.code for reply in self.successResultOf(result)], [250, 451])
        self.assertIsInstance(self.refusal(Scene.of({".": Script.hang_up}, is_lmtp=True), *two), Unavailable)
        scene = Scene.of({"RCPT": ["550 no", "250 ok"], ".": Script.hang_up}, is_lmtp=True)
        self.assertIsInstance(self.refusal(scene, *two), Unavailable)

    def test_more_replies(self) -> None:
        """The first ones count, and the connection is not used again."""
        scene = Scene.of({".": "250 kept\r\n452 full\r\n250 kept\r\n250 kept"}, is_lmtp=True)
        self.assertEqual(self.codes(scene, BOB, CAROL), [250, 452])
        self.assertEqual(self.codes(scene, BOB, CAROL), [250, 452])
        self.assertEqual(len(scene.server.scripts), 2)


class Kept(RelayCase):
    """A connection serves several messages."""

    def test_next_message(self) -> None:
        """No second greeting; what one message said of its way is not the other's."""
        scene = Scene.of({"EHLO": "250-mx\r\n250-PIPELINING\r\n250 XFORWARD NAME IDENT"})
        for forwarded in ({"IDENT": "1", "NAME": "a", "SOURCE": "x"}, {"IDENT": "2", "NAME": "+" * 86}, {}):
            sent = evolve(envelope(), forwarded=forwarded)
            self.successResultOf(scene.internet.run(scene.relay.send(sent, blocks(*MESSAGE))))
        self.assertEqual(len(scene.server.scripts), 1)
        asked = [line for line in scene.server.said if line.startswith(("EHLO", "XFORWARD"))]
        unknown = "XFORWARD NAME=[UNAVAILABLE] IDENT="
        self.assertEqual(asked, ["EHLO us.test", "XFORWARD NAME=a IDENT=1", f"{unknown}2", f"{unknown}[UNAVAILABLE]"])

    def test_waits_for_so_long(self) -> None:
        """Then it is closed with a word; used meanwhile, it waits anew."""
        scene = Scene.of({})
        self.codes(scene)
        scene.internet.advance(4)
        self.codes(scene)
        scene.internet.advance(4)
        self.assertFalse(scene.last.is_lost)
        scene.internet.advance(2)
        self.assertTrue(scene.last.is_lost)
        self.assertEqual(scene.server.said[-1], "QUIT")
        none = Scene.of({}, idle=timedelta(0))
        self.codes(none)
        none.internet.pump()
        self.assertTrue(none.last.is_lost)

    def test_not_after_a_refusal(self) -> None:
        """What is left of a refused transaction is nobody's business."""
        scene = Scene.of({"MAIL": ["550 no", "250 ok"]})
        self.assertEqual([self.codes(scene), self.codes(scene)], [[550], [250]])
        self.assertEqual(len(scene.server.scripts), 2)

    def test_not_while_the_server_is_in_trouble(self) -> None:
        """Postfix says 451 for as long as a connection lives on which a milter was away."""
        scene = Scene.of({".": ["451 later", "250 kept"]})
        self.assertEqual([self.codes(scene), self.codes(scene)], [[451], [250]])
        self.assertEqual(len(scene.server.scripts), 2)

    def test_not_for_ever(self) -> None:
        """Now and then it begins anew."""
        scene = Scene.of({})
        for _ in range(110):
            self.codes(scene)
        self.assertEqual(len(scene.server.scripts), 2)

    def test_offers(self) -> None:
        """Asked once; the connection stays for a message."""
        scene = Scene.of({})
        for _ in range(2):
            self.assertEqual(self.successResultOf(scene.internet.run(scene.relay.offers())), {"PIPELINING": ""})
        self.assertEqual((self.codes(scene), len(scene.server.scripts)), ([250], 1))

    def test_many_at_a_time(self) -> None:
        """Only some of them are kept."""
        scene = Scene.of({".": None})
        results = [scene.start(MESSAGE) for _ in range(12)]
        for script in scene.server.scripts:
            script.say("250 kept")
        scene.internet.pump()
        for result in results:
            self.assertEqual(self.successResultOf(result)[0].code, 250)
        self.assertEqual(sum(not script.is_lost for script in scene.server.scripts), 8)

    def test_lost_while_it_waited(self) -> None:
        """Whether we know of it or not, the message goes over a new connection, once."""

        def goodbye(script: Script) -> None:
            script.say("421 idle for too long")
            script.hang_up()

        for leave in (Script.hang_up, goodbye, lambda script: script.say("250 hello?")):
            scene = Scene.of({})
            self.codes(scene)
            leave(scene.last)
            scene.internet.pump()
            self.assertEqual((self.codes(scene), len(scene.server.scripts)), ([250], 2))

    def test_lost_as_the_next_one_begins(self) -> None:
        """Nothing of the message was sent, so that it is tried again; only once."""
        for verb, answer in (("MAIL", Script.hang_up), ("RCPT", "421 idle"), ("DATA", "421 idle")):
            good: Any = "354 go on" if verb == "DATA" else "250 ok"
            scene = Scene.of({verb: [good, answer, good]})
            self.assertEqual([self.codes(scene), self.codes(scene)], [[250], [250]])
            self.assertEqual(len(scene.server.scripts), 2)
            down = Scene.of({verb: [good, answer, answer]})
            self.codes(down)
            self.assertIsInstance(self.refusal(down), Unavailable)
            self.assertEqual(len(down.server.scripts), 2)

    def test_lost_in_the_message(self) -> None:
        """Never tried again by us: the mail server's queue does that."""
        scene = Scene.of({".": ["250 kept", Script.hang_up]})
        self.codes(scene)
        self.assertIsInstance(self.refusal(scene), Unavailable)
        self.assertEqual(len(scene.server.scripts), 1)

    def test_cancelled(self) -> None:
        """Who stops the daemon breaks the connection: the server sees no end."""
        scene = Scene.of({})
        waiting: Deferred[None] = Deferred()

        async def stuck() -> AsyncIterator[bytes]:
            yield b"half\r\n"
            await waiting

        result = scene.start(stuck())
        result.cancel()
        self.failureResultOf(result)
        scene.internet.pump()
        self.assertEqual((scene.last.is_lost, bytes(scene.last.got)), (True, b"half\r\n"))


async def endless(taken: list[int] | None = None, count: int = 1000) -> AsyncIterator[bytes]:
    """Blocks of 64 KiB; `taken` has the size of each that was asked for."""
    block = b"x" * 65534 + b"\r\n"
    for _ in range(count):
        if taken is not None:
            taken.append(len(block))
        yield block
