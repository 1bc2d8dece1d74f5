"""What an answer's head means."""

from datetime import timedelta

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import digest_of
from rrsd.core.wire.fields import etag, render_repr_digest
from rrsd.roles.rra.replies import STATUSES, Asked, Body, Restart, Verdict, judge, request_headers
from rrsd.roles.rra.rules import Outcome, Result
from tests.roles.rra.samples import BODY, NOW

D = digest_of(BODY)
TAG = etag(D)
WHOLE = Asked(D, len(BODY))
REST = Asked(D, len(BODY), 10, TAG)
LENGTH = {"content-length": str(len(BODY))}
RANGE = {"content-range": f"bytes 10-{len(BODY) - 1}/{len(BODY)}", "etag": TAG}


def heard(status: int, asked: Asked = WHOLE, **headers: str) -> Verdict:
    """The verdict on an answer."""
    return judge(status, {name.replace("_", "-"): value for name, value in headers.items()}, asked, NOW)


class Heads(SynchronousTestCase):
    """Status and headers, before a byte of the body."""

    def assert_outcome(self, verdict: Verdict, outcome: Outcome) -> None:
        """The attempt is over with this."""
        assert isinstance(verdict, Result), verdict
        self.assertEqual(verdict.outcome, outcome)

    def test_a_request(self) -> None:
        """Codings are declined always; a range comes with the validator that it belongs to."""
        self.assertEqual(request_headers(WHOLE, "d"), (("authorization", "Bearer d"), ("accept-encoding", "identity")))
        self.assertEqual(request_headers(REST, "d")[2:], (("range", "bytes=10-"), ("if-range", TAG)))

    def test_the_whole(self) -> None:
        """200 with the right length; a weak validator is none."""
        self.assertEqual(judge(200, {**LENGTH, "etag": TAG}, WHOLE, NOW), Body(len(BODY), TAG))
        self.assertEqual(judge(200, {**LENGTH, "etag": 'W/"x"'}, WHOLE, NOW), Body(len(BODY), ""))
        self.assert_outcome(heard(200), Outcome.MISMATCH)
        self.assert_outcome(heard(200, content_length="7"), Outcome.MISMATCH)
        self.assert_outcome(heard(200, content_range="bytes 0-1/2"), Outcome.BROKEN)
        self.assertIsInstance(judge(200, LENGTH, REST, NOW), Restart)

    def test_the_rest(self) -> None:
        """206 is believed by its Content-Range and its validator only."""
        self.assertEqual(judge(206, RANGE, REST, NOW), Body(len(BODY) - 10, TAG))
        for changed in (
            {"content-range": "bytes 9-23/24"},
            {"content-range": "bytes 10-22/24"},
            {"content-range": "bytes 10-23/25"},
            {"content-range": "bytes 10-23/*"},
            {"content-range": ""},
            {"etag": '"other"'},
            {"etag": f"W/{TAG}"},
        ):
            with self.subTest(changed=changed):
                self.assertIsInstance(judge(206, {**RANGE, **changed}, REST, NOW), Restart)
        self.assert_outcome(judge(206, RANGE, WHOLE, NOW), Outcome.BROKEN)

    def test_416(self) -> None:
        """To a resumed request: begin anew. To a request for the whole: a refusal."""
        self.assertIsInstance(heard(416, REST), Restart)
        self.assert_outcome(heard(416), Outcome.REFUSED)

    def test_codings_and_digests(self) -> None:
        """What says itself that it is something else is believed."""
        other = render_repr_digest(digest_of(b"other"))
        for headers, outcome in (
            ({"content-encoding": "gzip"}, Outcome.BROKEN),
            ({"repr-digest": other}, Outcome.MISMATCH),
            ({"repr-digest": f"{other}, {render_repr_digest(D)}"}, Outcome.MISMATCH),
        ):
            self.assert_outcome(judge(200, {**LENGTH, **headers}, WHOLE, NOW), outcome)
            self.assert_outcome(judge(206, {**RANGE, **headers}, REST, NOW), outcome)
        good = {**LENGTH, "content-encoding": "Identity", "repr-digest": render_repr_digest(D)}
        self.assertIsInstance(judge(200, good, WHOLE, NOW), Body)

    def test_every_status_has_an_outcome(self) -> None:
        """Those that are named, and the rest by their hundred."""
        for status in range(100, 600):
            if status in (200, 206):
                continue
            verdict = heard(status)
            assert isinstance(verdict, Result)
            if status in STATUSES:
                self.assertEqual(verdict.outcome, STATUSES[status])
            elif 400 <= status < 500:
                self.assertEqual(verdict.outcome, Outcome.REFUSED)
            else:
                self.assertEqual(verdict.outcome, Outcome.BROKEN)

    def test_retry_after(self) -> None:
        """429 always, 503 where it says when; a day at most."""
        for status, text, seconds in ((429, "7", 7), (503, "7", 7), (429, "x", None), (429, "9" * 12, 86400)):
            verdict = heard(status, retry_after=text)
            self.assert_outcome(verdict, Outcome.PUSHED_BACK)
            assert isinstance(verdict, Result)
            self.assertEqual(verdict.retry_after, seconds)
        self.assert_outcome(heard(503), Outcome.UNREACHABLE)
        later = (NOW + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        verdict = heard(503, retry_after=later)
        assert isinstance(verdict, Result)
        self.assertEqual(verdict.retry_after, 90)
