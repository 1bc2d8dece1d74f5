"""What the identity remembers of other domains, their keys, and our own users."""

from datetime import timedelta
from typing import Any

from twisted.internet.defer import Deferred

from rrsd.core.proof.tokens import access_claims
from rrsd.core.refusals import Expired, Malformed, Unavailable, Unknown, Unproven
from rrsd.core.values.addresses import Domain
from rrsd.core.values.calls import Answer
from rrsd.core.values.peers import Issuer, parse_issuer
from rrsd.core.values.tokens import KeySet, Kind, VerifiedAccess
from rrsd.core.wire.jose import render_key_set
from tests.roles.identity.case import FINGER, JWKS, METADATA, IdentityCase
from tests.support.domains import Key, json_answer, now


class Remember(IdentityCase):
    """What is kept, and for how long (F-16, F-17, D-09)."""

    def test_kept_for_the_shorter_life(self) -> None:
        """An introduction lives as long as the shorter-lived of its documents."""
        self.finger("https://as.bar.test", cache="max-age=120")
        self.introduce()
        self.clock.advance(119)
        self.introduce()
        self.assertEqual(len(self.hosts.asked), 2)
        self.clock.advance(1)
        self.introduce()
        self.assertEqual(len(self.hosts.asked), 4)

    def test_domain_changed_its_owner(self) -> None:
        """After its life an introduction is asked for again (D-09)."""
        self.introduce()
        self.clock.advance(601)
        self.finger("https://as.evil.test", subject="acct:postmaster@bar.test")
        self.refuse(Unproven)

    def test_negative_answers_are_kept_a_minute(self) -> None:
        """A domain that proved nothing is asked again after a minute."""
        self.metadata(issuer="https://as.evil.test")
        self.refuse(Unproven)
        self.metadata()
        self.clock.advance(59)
        self.refuse(Unproven)
        self.clock.advance(1)
        self.introduce()

    def test_an_outage_is_kept_briefly(self) -> None:
        """A host that cannot be asked is left alone for a few seconds."""
        self.hosts.pages[FINGER] = Unavailable("connection")
        self.refuse(Unavailable)
        self.refuse(Unavailable)
        self.assertEqual(len(self.hosts.asked), 1)
        self.clock.advance(5)
        self.finger("https://as.bar.test")
        self.introduce()

    def test_stampede(self) -> None:
        """A hundred who ask at the same time share one fetch (F-17)."""
        waiting: Deferred[Answer] = Deferred()
        page, self.hosts.pages[FINGER] = self.hosts.pages[FINGER], waiting
        asked = [Deferred.fromCoroutine(self.identity.introduce(self.bar.domain)) for _ in range(100)]
        assert isinstance(page, Answer)
        waiting.callback(page)
        self.assertEqual({self.successResultOf(each).issuer for each in asked}, {self.bar.issuer})
        self.assertEqual(self.hosts.asked, [FINGER, METADATA])

    def test_memory_is_bounded(self) -> None:
        """Strangers cannot fill the memory; the one longest unused is forgotten."""
        self.identity = self.make(most_entries=1)
        self.introduce()
        self.refuse_now(self.identity.introduce(Domain("baz.test")), Unknown)
        self.introduce()
        self.assertEqual(self.hosts.asked.count(FINGER), 2)


class Keys(IdentityCase):
    """The keys of an issuer."""

    def keys(self, kid: str = "key-of-bar.test") -> KeySet:
        return self.run_now(self.identity.keys_of(self.introduce(), kid))

    def fetches(self) -> int:
        return self.hosts.asked.count(JWKS)

    def rotate(self) -> None:
        keys = KeySet((self.bar.key.public, Key("new").public))
        self.hosts.pages[JWKS] = json_answer(render_key_set(keys))

    def test_keys(self) -> None:
        """They are fetched once while they are good."""
        self.assertEqual([key.kid for key in self.keys().keys], ["key-of-bar.test"])
        self.keys()
        self.assertEqual(self.fetches(), 1)

    def test_our_own_keys_need_no_network(self) -> None:
        """Our own issuer's keys are at hand."""
        own = self.run_now(self.identity.introduce(self.home.domain))
        self.assertEqual(self.run_now(self.identity.keys_of(own, "any")), self.home.published())
        self.assertEqual(self.hosts.asked, [])

    def test_unknown_key_after_a_rotation(self) -> None:
        """An unknown kid fetches the set again (J-24)."""
        self.keys()
        self.rotate()
        self.clock.advance(60)
        self.assertEqual(len(self.keys("new").keys), 2)
        self.assertEqual(len(self.keys("new").keys), 2)
        self.assertEqual(self.fetches(), 2)

    def test_flood_of_unknown_keys(self) -> None:
        """Unknown kids cause one fetch a minute, however many there are (F-01)."""
        self.keys()
        for number in range(50):
            self.keys(f"made-up-{number}")
        self.assertEqual(self.fetches(), 1)
        self.clock.advance(60)
        for number in range(50):
            self.keys(f"made-up-{number}")
        self.assertEqual(self.fetches(), 2)

    def test_failed_refetch_keeps_the_keys(self) -> None:
        """An unknown kid during an outage does not lose the keys that are known."""
        self.keys()
        self.clock.advance(60)
        self.hosts.pages[JWKS] = Unavailable("connection")
        self.refuse_now(self.identity.keys_of(self.introduce(), "made-up"), Unavailable)
        self.keys()
        self.keys("made-up")
        self.assertEqual(self.fetches(), 2)

    def test_missing_key_set_is_refused(self) -> None:
        """Metadata that points to nothing proves nothing."""
        del self.hosts.pages[JWKS]
        self.refuse_now(self.identity.keys_of(self.introduce(), "any"), Unproven)

    def test_two_keys_with_one_kid_are_refused(self) -> None:
        """An ambiguous key set is not used (J-09)."""
        keys = KeySet((Key("one").public, Key("one").public))
        self.hosts.pages[JWKS] = json_answer(render_key_set(keys))
        self.refuse_now(self.identity.keys_of(self.introduce(), "one"), Unproven)


class Users(IdentityCase):
    """Access tokens of our own users."""

    PROVIDER = "https://login.example.org"

    def token(self, issuer: Issuer, key: Key, **changes: Any) -> str:
        access = VerifiedAccess(
            issuer, self.home.address("alice"), "rrsctl", frozenset({"mail"}), now() + timedelta(minutes=5), "j"
        )
        return key.sign(Kind.ACCESS, {**access_claims(access, str(self.home.origin), now()), **changes})

    def provider(self, key: Key, **changes: Any) -> None:
        issuer = parse_issuer(self.PROVIDER)
        document = {
            "issuer": str(issuer), "jwks_uri": "https://keys.example.org/certs",
            "token_endpoint": f"{issuer}/token", **changes,
        }  # fmt: skip
        self.hosts.pages[f"{issuer}/.well-known/openid-configuration"] = json_answer(document)
        self.hosts.pages["https://keys.example.org/certs"] = json_answer(render_key_set(KeySet((key.public,))))

    def test_own_issuer(self) -> None:
        """A token of our own issuer is proved without the network."""
        access = self.run_now(self.identity.prove_user(self.token(self.home.issuer, self.home.key)))
        self.assertEqual((str(access.subject), access.scope), ("alice@foo.test", {"mail"}))
        self.assertEqual(self.hosts.asked, [])

    def test_external_provider(self) -> None:
        """A token of the configured OpenID Provider is proved by its discovery document."""
        key = Key("theirs")
        self.provider(key)
        identity = self.make(parse_issuer(self.PROVIDER))
        token = self.token(parse_issuer(self.PROVIDER), key)
        self.assertEqual(str(self.run_now(identity.prove_user(token)).subject), "alice@foo.test")
        self.run_now(identity.prove_user(token))
        self.assertEqual(len(self.hosts.asked), 2)

    def test_provider_names_another_issuer(self) -> None:
        """A discovery document about another issuer is refused (RFC 8414 3.3)."""
        key = Key("theirs")
        self.provider(key, issuer="https://evil.example.org")
        identity = self.make(parse_issuer(self.PROVIDER))
        self.refuse_now(identity.prove_user(self.token(parse_issuer(self.PROVIDER), key)), Unproven)

    def test_bad_tokens(self) -> None:
        """Garbage, another issuer's token, another audience's and an old one are refused (J-14, J-15, J-16)."""
        self.refuse_now(self.identity.prove_user("x.y"), Malformed)
        self.refuse_now(self.identity.prove_user(self.token(self.bar.issuer, self.home.key)), Unproven)
        self.refuse_now(self.identity.prove_user(self.token(self.home.issuer, self.bar.key)), Unproven)
        other = self.token(self.home.issuer, self.home.key, aud="https://rs.bar.test")
        self.refuse_now(self.identity.prove_user(other), Unproven)
        self.clock.advance(600)
        self.refuse_now(self.identity.prove_user(self.token(self.home.issuer, self.home.key)), Expired)
