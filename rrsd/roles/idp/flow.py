"""The steps of a login: ask, check the password, hand out a code, redeem it, refresh, end."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from attrs import define, field, frozen

from rrsd.core.proof.times import SKEW
from rrsd.core.refusals import (
    Expired,
    Forbidden,
    Malformed,
    NotGranted,
    Refusal,
    Replayed,
    TooLarge,
    TooMany,
    Unknown,
    UnknownClient,
    Unproven,
)
from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate, Issuer
from rrsd.core.values.tokens import Kind, family_name, revoked_names
from rrsd.core.wire.oauth import Form
from rrsd.roles.idp import claims, rules
from rrsd.roles.idp.clients import Client
from rrsd.roles.idp.ports import (
    Audit,
    Code,
    Limits,
    LoginGrants,
    Passwords,
    RefreshGrant,
    Revocations,
    Sessions,
    Signer,
    User,
    Users,
)
from rrsd.roles.idp.settings import Settings

Grant = Callable[[Form, Certificate | None, str], Awaitable[dict[str, Any]]]


@frozen
class Redirect:
    """The browser goes to `uri`."""

    uri: str = field(repr=False)


@frozen
class LoginPage:
    """The user is asked for address and password.

    `sealed` comes back with them. `cancel` is where the user goes who does not want to. `target` is what the browser
    must be allowed to follow afterwards. `refusal` is why the page is shown again.
    """

    title: str
    sealed: str = field(repr=False)
    hint: str
    cancel: str = field(repr=False)
    target: str
    refusal: Refusal | None = None


@frozen
class Guards:
    """Limits on guessing: logins by network address and by user, refused token requests by network address."""

    by_address: Limits
    by_user: Limits
    by_failure: Limits


@define(eq=False, kw_only=True)
class Flow:
    """The domain's own OpenID Provider.

    `audience` is what access tokens are for: the origin of the domain's API. `unique` makes a fresh random string of
    128 bits or more, `secret` is fresh random bytes that seal login forms while this process lives.
    """

    issuer: Issuer
    audience: str
    settings: Settings
    clients: Mapping[str, Client]
    users: Users
    grants_kept: LoginGrants
    passwords: Passwords
    sessions: Sessions
    revocations: Revocations
    signer: Signer
    audit: Audit
    guards: Guards
    now: Callable[[], Instant]
    unique: Callable[[], str]
    secret: bytes = field(repr=False)
    _redeeming: dict[str, bool] = field(factory=dict, init=False, repr=False)

    @property
    def grants(self) -> Mapping[str, Grant]:
        """What the token endpoint does for each grant type of this role."""
        return {"authorization_code": self.redeem_code, "refresh_token": self.refresh}

    def ask(self, form: Form, peer: str) -> LoginPage | Redirect:
        """The login page for an authorization request, or the client's error.

        Raises:
            Malformed, UnknownClient: nobody can be sent back: client or redirect URI is wrong.
        """
        client = rules.find_client(self.clients, form)
        uri = rules.require_redirect(client, form)
        error = rules.complaint(form, self.audience)
        if error is not None:
            self._record("authorize", client.client_id, "", peer, Malformed(error))
            state = (form.one("state") or "")[: rules.MOST_ECHOED]
            return Redirect(rules.answer(uri, self.issuer, state, error=error))
        return self._page(rules.asked(form))

    def _page(self, asked: rules.Asked, refusal: Refusal | None = None) -> LoginPage:
        sealed = rules.seal(asked, self.now() + self.settings.form_life, self.secret)
        cancel = rules.answer(asked.redirect_uri, self.issuer, asked.state, error="access_denied")
        title = self.clients[asked.client_id].title
        return LoginPage(title, sealed, asked.hint, cancel, rules.form_target(asked.redirect_uri), refusal)

    async def login(self, form: Form, peer: str) -> LoginPage | Redirect:
        """Where the browser goes after a good login; the page again after another one.

        Raises:
            Malformed, Expired: the form is none of ours, or too old.
            Unavailable: passwords cannot be checked now.
        """
        asked = rules.unseal(form.required("request"), self.secret, self.now())
        name = form.one("username") or ""
        try:
            user = await self._authenticate(name, form.one("password") or "", peer)
        except (Forbidden, TooMany) as refusal:
            self._record("login", asked.client_id, rules.named(name), peer, refusal)
            return self._page(asked, refusal)
        code = self.unique()
        grant = rules.code_for(asked, rules.key_of(code), user.address, self.now(), self.settings.code_life)
        self._record("login", asked.client_id, str(user.address), peer)
        await self.grants_kept.add_code(grant)
        return Redirect(rules.answer(asked.redirect_uri, self.issuer, asked.state, code=code))

    async def _authenticate(self, name: str, password: str, peer: str) -> User:
        """The user; unknown, suspended and wrongly guessed ones cost and say the same."""
        wait = self.guards.by_address.take(peer) or self.guards.by_user.take(name.lower()[:320])
        if wait:
            raise TooMany("too many logins", retry_after=wait)
        user = await self._find(name)
        phc = None if user is None or len(password) > rules.MOST_PASSWORD else user.password
        matches = await self.passwords.verify(phc, rules.normal(password[: rules.MOST_PASSWORD]))
        if user is None or not matches or user.suspended:
            raise Forbidden("no such user, another password, or suspended")
        return user

    async def _find(self, name: str) -> User | None:
        try:
            return await self.users.find(parse_address(name))
        except (Malformed, Unknown):
            return None

    async def redeem_code(self, form: Form, certificate: Certificate | None, peer: str) -> dict[str, Any]:
        """The tokens for an authorization code (RFC 6749 4.1.3).

        Raises:
            Malformed, UnknownClient, NotGranted: the request, the client, or the code is not good.
            TooMany: this peer was wrong too often.
            Unavailable: nothing can be signed now.
        """
        return await self._decided("code", form, peer, self._redeem_code)

    async def _redeem_code(self, form: Form, client: Client) -> tuple[Address, dict[str, Any]]:
        key = rules.key_of(form.required("code"))
        verifier = form.required("code_verifier")
        code = await self._take_code(key)
        self._redeeming[key] = False
        try:
            rules.require_code(code, client.client_id, form.one("redirect_uri"), self.now())
            rules.require_verifier(code, verifier)
            await self._require_login(code.subject, code.auth_time)
            document = await self._first_tokens(code)
        finally:
            replayed = self._redeeming.pop(key)
        if replayed:
            # The replay came too early to find the refresh token that it should end.
            await self._end_replayed(key)
        return code.subject, document

    async def _take_code(self, key: str) -> Code:
        try:
            return await self.grants_kept.take_code(key)
        except Replayed:
            if key in self._redeeming:
                self._redeeming[key] = True
            return await self._end_replayed(key)

    async def _end_replayed(self, key: str) -> NoReturn:
        await self._end_family(rules.family_of(key))
        raise NotGranted("the code was used before; its logins have ended")

    async def _first_tokens(self, code: Code) -> dict[str, Any]:
        family = rules.family_of(code.key)
        issued = self._issued(code.subject, code.client_id, code.scope, code.auth_time, family)
        more = {"id_token": self._id_token(issued, code.nonce)} if "openid" in code.scope.split(" ") else {}
        return await self._tokens(issued, code.scope) | more

    async def refresh(self, form: Form, certificate: Certificate | None, peer: str) -> dict[str, Any]:
        """New tokens for a refresh token, which is used up by this (RFC 6749 6, RFC 9700 4.14). Raises as above."""
        return await self._decided("refresh", form, peer, self._refresh)

    async def _refresh(self, form: Form, client: Client) -> tuple[Address, dict[str, Any]]:
        grant = await self._take_refresh(form.required("refresh_token"))
        try:
            rules.require_refresh(grant, client.client_id, self.now())
            await self._require_login(grant.subject, grant.auth_time)
        except NotGranted:
            await self._end_family(grant.family)
            raise
        scope = rules.narrowed(grant.scope, form.one("scope"))
        issued = self._issued(grant.subject, grant.client_id, scope, grant.auth_time, grant.family)
        return grant.subject, await self._tokens(issued, grant.scope)

    async def revoke(self, form: Form, certificate: Certificate | None, peer: str) -> None:
        """End the login that a refresh token belongs to, its access tokens too; or end one access token (RFC 7009 2.1).

        What the hint says makes no difference, and a token that nobody knows is as good as revoked.

        Raises:
            Malformed, UnknownClient: the request or the client is not good.
            NotGranted: the token is another client's; nothing happens to it.
        """
        await self._decided("revoke", form, peer, self._revoke)

    async def _revoke(self, form: Form, client: Client) -> tuple[Address | None, dict[str, Any]]:
        token = form.required("token")
        try:
            grant = await self.grants_kept.find_refresh(rules.key_of(token))
        except NotGranted:
            return await self._revoke_access(token, client), {}
        rules.require_issued_to(grant.client_id, client.client_id)
        await self._end_family(grant.family)
        return grant.subject, {}

    async def _revoke_access(self, token: str, client: Client) -> Address | None:
        try:
            access = await self.sessions.prove_user(token)
        except (Malformed, Unproven, Expired, TooLarge):
            return None
        rules.require_issued_to(access.client_id, client.client_id)
        await self.revocations.revoke(revoked_names(access.issuer, access.jti)[0], access.expires + SKEW)
        return access.subject

    async def _end_family(self, family: str) -> None:
        """No refresh token of the login is good any more, nor is any access token that it was given."""
        await self.grants_kept.revoke_family(family)
        until = self.now() + self.settings.access_life + SKEW
        await self.revocations.revoke(family_name(self.issuer, family), until)

    async def _take_refresh(self, token: str) -> RefreshGrant:
        try:
            return await self.grants_kept.take_refresh(rules.key_of(token))
        except Replayed:
            await self._end_family((await self.grants_kept.find_refresh(rules.key_of(token))).family)
            raise NotGranted("the refresh token was used before; its login has ended") from None

    async def _require_login(self, subject: Address, auth_time: Instant) -> None:
        try:
            rules.require_login(await self.users.find(subject), auth_time)
        except Unknown:
            raise NotGranted("the user is gone") from None

    def _issued(self, subject: Address, client_id: str, scope: str, auth_time: Instant, family: str) -> claims.Issued:
        return claims.Issued(self.issuer, self.audience, subject, client_id, scope, auth_time, self.unique(), family)

    def _id_token(self, issued: claims.Issued, nonce: str) -> str:
        return self.signer.sign("JWT", claims.id_claims(issued, nonce, self.now(), self.settings.access_life))

    async def _tokens(self, issued: claims.Issued, scope: str) -> dict[str, Any]:
        now, life = self.now(), self.settings.access_life
        access = self.signer.sign(Kind.ACCESS, claims.access_claims(issued, now, life))
        refresh = self.unique()
        lives = rules.Lives(self.settings.refresh_life, self.settings.login_life)
        end = lives.end(issued.auth_time, now)
        # The chain keeps the whole scope that the user granted, this access token may have less of it.
        await self.grants_kept.add_refresh(
            RefreshGrant(
                rules.key_of(refresh), issued.family, issued.client_id, issued.subject, scope, issued.auth_time, end
            )
        )
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": int(life.total_seconds()),
            "scope": issued.scope,
            "refresh_token": refresh,
        }

    async def _decided(
        self,
        what: str,
        form: Form,
        peer: str,
        step: Callable[[Form, Client], Awaitable[tuple[Address | None, dict[str, Any]]]],
    ) -> dict[str, Any]:
        """What the step answers, once the trail has the decision."""
        who = form.one("client_id") or ""
        try:
            client = rules.find_client(self.clients, form)
            rules.require_public(form)
            subject, document = await step(form, client)
        except Refusal as refusal:
            self._record(what, who, "", peer, refusal)
            if isinstance(refusal, Malformed | UnknownClient | NotGranted):
                self._count_failure(peer)
            raise
        self._record(what, who, str(subject or ""), peer)
        return document

    def turn_away(self, what: str, peer: str, refusal: Refusal) -> None:
        """Write down a request that was refused before anybody was asked for."""
        self._record(what, "", "", peer, refusal)

    def _count_failure(self, peer: str) -> None:
        wait = self.guards.by_failure.take(peer)
        if wait:
            raise TooMany("too many refused requests", retry_after=wait)

    def _record(self, what: str, who: str, subject: str, peer: str, refusal: Refusal | None = None) -> None:
        outcome, reason, evidence = "granted", "", ""
        if refusal is not None:
            outcome, reason, evidence = "refused", refusal.reason, refusal.detail
        self.audit.record(
            Event(what, outcome, who=who[:100], subject=subject[:320], peer=peer, refusal=reason, evidence=evidence)
        )
