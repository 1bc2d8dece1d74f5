"""Token exchange requests and answers."""

import json
from urllib.parse import urlencode

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, UnknownClient, UnsupportedGrant, WrongScope, WrongTarget
from rrsd.core.wire.exchange import GRANT_TYPE, ExchangeRequest, SubjectType, parse_exchange, render_exchange
from rrsd.core.wire.oauth import FORM, parse_form
from tests.core.signing import ORIGIN

GOOD: dict[str, str | list[str]] = {
    "grant_type": GRANT_TYPE,
    "client_id": "_rra.bar.test",
    "subject_token": "a.b.c",
    "subject_token_type": str(SubjectType.JWT),
    "requested_token_type": str(SubjectType.JWT),
    "resource": str(ORIGIN),
}


def parse(**changes: str | list[str]) -> ExchangeRequest:
    """The request with these parameters changed."""
    return parse_exchange(parse_form(FORM, b"", urlencode(GOOD | changes, doseq=True).encode("ascii")))


class ExchangeTests(SynchronousTestCase):
    """What a client asks for."""

    def test_whole(self) -> None:
        """A good request has its parts; what is optional may be absent."""
        self.assertEqual(parse(), ExchangeRequest("a.b.c", SubjectType.JWT, ORIGIN, "_rra.bar.test"))
        asked = parse(subject_token_type=str(SubjectType.ACCESS_TOKEN), requested_token_type="", audience=str(ORIGIN))
        self.assertEqual(asked.subject_token_type, SubjectType.ACCESS_TOKEN)

    def test_s21_the_subject_token_is_not_shown(self) -> None:
        """The subject token never reaches a log by the request's repr."""
        self.assertNotIn("a.b.c", repr(parse()))

    def test_actor(self) -> None:
        """An actor token is noticed; its type must come with it, and not without."""
        self.assertTrue(parse(actor_token="x", actor_token_type="y").has_actor)
        self.assertRaises(Malformed, parse, actor_token="x")
        self.assertRaises(Malformed, parse, actor_token_type="y")

    def test_narrowing(self) -> None:
        """authorization_details name messages; anything else in it is refused."""
        details = json.dumps([{"type": "rrs_message", "message_id": "<1@foo.test>"}])
        self.assertEqual(parse(authorization_details=details).message_ids, {"<1@foo.test>"})
        for text in (
            "{}",
            "[]",
            "x",
            '[{"type":"other"}]',
            '[{"type":"rrs_message","message_id":"a","message_id":"b"}]',
        ):
            self.assertRaises(Malformed, parse, authorization_details=text)

    def test_c01_no_client_id(self) -> None:
        """A request that names no client is refused as an unknown client."""
        self.assertRaises(UnknownClient, parse, client_id="")

    def test_x02_subject_token_empty_or_removed(self) -> None:
        """A subject token that is empty, or under another name, is an error and never another grant."""
        self.assertRaises(Malformed, parse, subject_token="")
        self.assertRaises(Malformed, parse, subject_token="", **{"subject_token[]": "a.b.c"})
        self.assertRaises(Malformed, parse, subject_token=["", "a.b.c"])
        self.assertRaises(UnsupportedGrant, parse, grant_type="client_credentials")

    def test_x06_targets_that_are_none(self) -> None:
        """A resource that is relative, has a fragment, user or path, is not https, or comes 50 times is refused."""
        for resource in (
            "", "/x", "https://rs.foo.test#x", "https://u@rs.foo.test", "https://rs.foo.test/x", "http://rs.foo.test",
            "urn:x",
            [f"https://rs{each}.foo.test" for each in range(50)], [str(ORIGIN), str(ORIGIN)],
        ):  # fmt: skip
            self.assertRaises(WrongTarget, parse, resource=resource)

    def test_x18_a_second_target_beside_the_first(self) -> None:
        """An audience other than the resource is refused, not ignored."""
        self.assertRaises(WrongTarget, parse, audience="https://other.test")
        self.assertRaises(WrongTarget, parse, resource="", audience=str(ORIGIN))

    def test_other_types(self) -> None:
        """Token types that are not spoken are refused, and a scope is."""
        for name in ("saml1", "saml2", "refresh_token", "id_token"):
            self.assertRaises(Malformed, parse, subject_token_type=f"urn:ietf:params:oauth:token-type:{name}")
        self.assertRaises(Malformed, parse, subject_token_type="")
        self.assertRaises(Malformed, parse, requested_token_type=str(SubjectType.ACCESS_TOKEN))
        self.assertRaises(WrongScope, parse, scope="mail")

    def test_answer(self) -> None:
        """The answer says that the token is a JWT and no access token."""
        self.assertEqual(
            render_exchange("x.y.z", 300),
            {
                "access_token": "x.y.z",
                "issued_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_type": "N_A",
                "expires_in": 300,
            },
        )
