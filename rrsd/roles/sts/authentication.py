"""Who sends a request: each client by its one method (RFC 6749 2.3, RFC 8705 2, RFC 7523 3)."""

from collections.abc import Callable

from attrs import define, frozen

from rrsd.core.proof import assertions, chains
from rrsd.core.proof.assertions import PlausibleAssertion, require_plausible_assertion
from rrsd.core.proof.signatures import verify
from rrsd.core.refusals import Expired, Malformed, Refusal, Replayed, TooLarge, UnknownClient, Unproven
from rrsd.core.values.clients import Method
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate, Issuer
from rrsd.core.values.tokens import Algorithm, KeySet, PublicKey
from rrsd.core.wire.jose import parse_jws
from rrsd.core.wire.oauth import Form
from rrsd.core.wire.subjects import has_name
from rrsd.roles.sts.clients import Client
from rrsd.roles.sts.ports import ClientKeys, Clients, Replays
from rrsd.roles.sts.rules import REMEMBER

_WRONG = (Malformed, Unproven, Expired, Replayed, TooLarge)
_ASSERTION = ("client_assertion", "client_assertion_type")
MOST_ASSERTION = 8192
"""Characters of a client assertion."""

# The base point of P-256: a key that nobody uses, for the time that a signature takes.
_NOBODY = PublicKey(
    "nobody",
    Algorithm.ES256,
    {
        "kty": "EC",
        "crv": "P-256",
        "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
        "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
    },
)


@frozen
class Caller:
    """A client that proved itself, and the certificate of the connection, which is what tokens are bound to."""

    client: Client
    certificate: Certificate | None


@define(eq=False, kw_only=True)
class Authentication:
    """Tells a request's client. Whatever is wrong looks the same, and takes about as long, for a client that is not
    registered as for one that did not prove itself (T-13)."""

    issuer: Issuer
    clients: Clients
    keys: ClientKeys
    replays: Replays
    now: Callable[[], Instant]

    async def caller(self, form: Form, certificate: Certificate | None) -> Caller:
        """The client that the request names, proved by the method of its registration and by nothing else.

        Raises:
            UnknownClient: it names none, or one that is not registered or not proved.
            Malformed: it is proved, and brings another proof as well (RFC 6749 2.3).
            Unavailable: its keys or the memory of assertions cannot be asked.
        """
        client = await self.clients.find(form.one("client_id") or "")
        if client is None:
            raise self._nobody(form)
        if client.method is Method.ASSERTION:
            await self._require_assertion(client, form)
        else:
            require_certificate(client, certificate, self.now())
        require_one_proof(client, form)
        return Caller(client, certificate)

    async def _require_assertion(self, client: Client, form: Form) -> None:
        try:
            plausible = self._plausible(client, form)
            verify(plausible.jws, await self._keys_of(client, plausible.jws.kid or ""))
            await self._require_first_use(plausible)
        except _WRONG as refusal:
            raise unproven(refusal) from None

    def _plausible(self, client: Client, form: Form) -> PlausibleAssertion:
        if form.required("client_assertion_type") != assertions.ASSERTION_TYPE:
            raise Malformed("client_assertion_type")
        jws = parse_jws(form.required("client_assertion"), MOST_ASSERTION)
        return require_plausible_assertion(jws, client.identifier, self.issuer, self.now())

    async def _keys_of(self, client: Client, kid: str) -> KeySet:
        if client.keys_at is None:
            return client.keys or KeySet(())
        return await self.keys.keys_at(client.keys_at, kid)

    async def _require_first_use(self, plausible: PlausibleAssertion) -> None:
        until = plausible.expires + REMEMBER
        if not await self.replays.first_use(f"client {plausible.client}", plausible.jti, until):
            raise Replayed("client assertion")

    def _nobody(self, form: Form) -> UnknownClient:
        try:
            verify(parse_jws(form.one("client_assertion") or "", MOST_ASSERTION), KeySet((_NOBODY,)))
        except _WRONG as refusal:
            return unproven(refusal)
        return unproven(Unproven("not registered"))


def unproven(refusal: Refusal) -> UnknownClient:
    """The refusal of a client that is not registered, or did not prove itself; the trail has the reason."""
    return UnknownClient(f"no such client with this proof: {refusal}")


def require_certificate(client: Client, certificate: Certificate | None, now: Instant) -> None:
    """Returns None if the certificate of the connection proves the client.

    Raises:
        UnknownClient: there is none, it is not on the registration, or none of the client's CAs issued it for the name
            of the registration.
    """
    if certificate is None:
        raise unproven(Unproven("no certificate"))
    if client.method is Method.SELF_SIGNED:
        if certificate.x5t not in client.certificates:
            raise unproven(Unproven("another certificate"))
        return
    # The name first: it is cheap to compare.
    if client.named is None or not has_name(certificate.der, client.named):
        raise unproven(Unproven("the certificate has another name"))
    try:
        chains.prove_chain(certificate, client.authorities, now)
    except Unproven as refusal:
        raise unproven(refusal) from None


def require_one_proof(client: Client, form: Form) -> None:
    """Returns None if the client brings no more than its own proof (RFC 6749 2.3).

    Raises:
        Malformed: it brings a secret, or an assertion beside its certificate.
    """
    others = ("client_secret", *(() if client.method is Method.ASSERTION else _ASSERTION))
    if any(form.one(name) is not None for name in others):
        raise Malformed("two ways of client authentication")
