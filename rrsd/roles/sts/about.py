"""Whether a token holds, for whoever serves its audience, and its early end (RFC 7662, RFC 9701, RFC 7009)."""

from collections.abc import Callable
from typing import Any

from attrs import define

from rrsd.core.refusals import Expired, Forbidden, Malformed, TooLarge, TooMany, Unknown, Unproven
from rrsd.core.values.instants import Instant, seconds
from rrsd.core.values.peers import Certificate, Issuer
from rrsd.core.values.tokens import Kind
from rrsd.core.wire.oauth import Form
from rrsd.roles.sts import rules
from rrsd.roles.sts.admission import Admission, Note
from rrsd.roles.sts.clients import Client
from rrsd.roles.sts.own import OwnTokens
from rrsd.roles.sts.ports import Limits, Signer, Subjects

INACTIVE = (Malformed, TooLarge, Unproven, Expired, Unknown, Forbidden)
"""What makes a token inactive; whoever asks is not told which (RFC 7662 2.2)."""


@define(eq=False, kw_only=True)
class AboutTokens:
    """Introspection and revocation. `inactive` limits each client that asks about tokens which are not active."""

    issuer: Issuer
    admission: Admission
    own: OwnTokens
    subjects: Subjects
    signer: Signer
    inactive: Limits
    now: Callable[[], Instant]

    async def introspect(
        self, form: Form, certificate: Certificate | None, peer: str, *, signed: bool
    ) -> dict[str, Any] | str:
        """What the asking resource server may know of a token; a JWT if it wants it `signed` (RFC 9701 5).

        Raises:
            UnknownClient, Malformed: the client or the request is not good.
            Forbidden: the client is not registered for this.
            TooMany: it asks too often, or too often about tokens that are not active.
            Unavailable: nothing can be proved or signed now.
        """
        note = self.admission.begun("introspect", form, peer)
        return await self.admission.decided(note, self._introspect(form, certificate, note, signed))

    async def _introspect(
        self, form: Form, certificate: Certificate | None, note: Note, signed: bool
    ) -> dict[str, Any] | str:
        caller = await self.admission.admit(form, certificate)
        rules.require_introspection(caller.client)
        document = await self._describe(form.required("token"), caller.client, note)
        if not signed:
            return document
        # Neither `sub` nor `exp` outside the member, so that it is no access token to anybody (RFC 9701 8.1).
        claims = {"iss": str(self.issuer), "aud": str(caller.client.identifier), "iat": seconds(self.now())}
        return self.signer.sign(Kind.INTROSPECTION, {**claims, "token_introspection": document})

    async def _describe(self, text: str, client: Client, note: Note) -> dict[str, Any]:
        try:
            token = await self.own.prove(text)
            rules.require_usable(client, token.claims)
            await self.subjects.require_active(token.subject)
        except INACTIVE as refusal:
            wait = self.inactive.take(str(client.identifier))
            if wait:
                raise TooMany("too many tokens that are not active", retry_after=wait) from None
            note.inactive = refusal
            return {"active": False}
        note.subject, note.resource, note.evidence = str(token.subject), str(token.claims["aud"]), "active"
        return rules.description(token.claims, token.token_type)

    async def revoke(self, form: Form, certificate: Certificate | None, peer: str) -> None:
        """End a token that was issued to the client; one that is not ours, or over, is as good as revoked.

        Raises:
            UnknownClient, Malformed: the client or the request is not good.
            NotGranted: the token is another client's; nothing happens to it.
            TooMany, Unavailable: not now.
        """
        note = self.admission.begun("revoke", form, peer)
        await self.admission.decided(note, self._revoke(form, certificate, note))

    async def _revoke(self, form: Form, certificate: Certificate | None, note: Note) -> None:
        caller = await self.admission.admit(form, certificate)
        text = form.required("token")
        try:
            token = await self.own.prove(text)
        except INACTIVE:
            return
        rules.require_owner(caller.client, token.owner)
        note.subject = str(token.subject)
        await self.own.revoke(token)
