"""What may be asked of the authorization endpoint and what its grants are worth (RFC 6749, RFC 7636, RFC 8252)."""

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

from attrs import asdict, frozen

from rrsd.core.proof import pkce
from rrsd.core.refusals import Expired, Malformed, NotGranted, UnknownClient, WrongScope
from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.instants import Instant, seconds
from rrsd.core.values.peers import Issuer
from rrsd.core.wire import strictjson
from rrsd.core.wire.oauth import Form
from rrsd.roles.idp.claims import SCOPES
from rrsd.roles.idp.clients import Client, is_redirect
from rrsd.roles.idp.ports import Code, RefreshGrant, User

LEAST_PASSWORD = 8  # NIST SP 800-63B 3.1.1.2
MOST_PASSWORD = 1024
MOST_ECHOED = 1024
"""Characters of `state` and `nonce`: they are kept and sent back."""

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9_-]{20,200}", re.ASCII)


@frozen
class Asked:
    """An authorization request that may be put before the user."""

    client_id: str
    redirect_uri: str
    state: str
    scope: str
    challenge: str
    nonce: str
    hint: str


def find_client(clients: Mapping[str, Client], form: Form) -> Client:
    """The client that asks.

    Raises:
        UnknownClient: it is not registered.
        Malformed: there is none in the request.
    """
    client = clients.get(form.required("client_id"))
    if client is None:
        raise UnknownClient("no such client")
    return client


def require_redirect(client: Client, form: Form) -> str:
    """The redirect URI; until it is known to be the client's, nobody is sent anywhere.

    Raises:
        Malformed: it is missing, or not one of the client's.
    """
    asked = form.required("redirect_uri")
    if not any(is_redirect(registered, asked) for registered in client.redirects):
        raise Malformed("this redirect URI is not registered for the client")
    return asked


def _is_too_long(form: Form) -> bool:
    return (
        max(len(form.one("state") or ""), len(form.one("nonce") or ""), len(form.one("login_hint") or "")) > MOST_ECHOED
    )


_COMPLAINTS: tuple[tuple[str, Callable[[Form, str], bool]], ...] = (
    ("request_not_supported", lambda form, _: form.one("request") is not None),
    ("request_uri_not_supported", lambda form, _: form.one("request_uri") is not None),
    ("invalid_request", lambda form, _: form.one("response_type") is None),
    ("unsupported_response_type", lambda form, _: form.one("response_type") != "code"),
    ("invalid_request", lambda form, _: form.one("response_mode") not in (None, "query")),
    ("invalid_request", lambda form, _: form.one("code_challenge_method") != "S256"),
    ("invalid_request", lambda form, _: not _CHALLENGE.fullmatch(form.one("code_challenge") or "")),
    ("invalid_request", lambda form, _: _is_too_long(form)),
    ("invalid_scope", lambda form, _: not set((form.one("scope") or "").split(" ")) <= {*SCOPES, ""}),
    ("invalid_target", lambda form, audience: not set(form.many("resource")) <= {audience}),
    # There is no session to be silently logged in with.
    ("login_required", lambda form, _: "none" in (form.one("prompt") or "").split(" ")),
)


def complaint(form: Form, audience: str) -> str | None:
    """The OAuth error that goes back to the client (RFC 6749 4.1.2.1), or None."""
    return next((error for error, is_so in _COMPLAINTS if is_so(form, audience)), None)


def asked(form: Form) -> Asked:
    """The request in a form about which there is no complaint."""
    scope = " ".join(word for word in SCOPES if word in (form.one("scope") or "mail").split(" "))
    rest = [form.one(name) or "" for name in ("state", "code_challenge", "nonce", "login_hint")]
    state, challenge, nonce, hint = rest
    return Asked(form.required("client_id"), form.required("redirect_uri"), state, scope, challenge, nonce, hint)


def answer(redirect_uri: str, issuer: Issuer, state: str, **parameters: str) -> str:
    """Where the browser goes with the answer; it always names the issuer (RFC 9207 2)."""
    given = {**parameters, "iss": str(issuer)} | ({"state": state} if state else {})
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(given)}"


def seal(request: Asked, expires: Instant, secret: bytes) -> str:
    """The request as a form value that nobody else can make or change."""
    body = _b64(strictjson.render({**asdict(request), "expires": seconds(expires)}))
    return f"{body}.{_b64(_mac(body, secret))}"


def unseal(text: str, secret: bytes, now: Instant) -> Asked:
    """The request that was sealed.

    Raises:
        Malformed: we did not seal this.
        Expired: the page was shown too long ago.
    """
    body, _, mac = text.partition(".")
    if not text.isascii() or not hmac.compare_digest(mac, _b64(_mac(body, secret))):
        raise Malformed("the login form is not one of ours")
    members = strictjson.parse_object(base64.urlsafe_b64decode(body + "=="))
    if seconds(now) >= members.pop("expires"):
        raise Expired("the login page is too old")
    return Asked(**members)


def _mac(body: str, secret: bytes) -> bytes:
    return hmac.digest(secret, body.encode("ascii", "replace"), "sha256")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def form_target(redirect_uri: str) -> str:
    """What a browser must be allowed to follow after the form was sent, as a source for `form-action`."""
    parts = urlsplit(redirect_uri)
    if not parts.netloc or parts.netloc.startswith("["):
        # Content Security Policy has no words for IPv6 addresses.
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.netloc}"


def require_shown_code(form: Form) -> str:
    """The code that the page for copying shows.

    Raises:
        Malformed: it is none of ours; the page shows nobody else's text.
    """
    code = form.one("code") or ""
    if not _CODE.fullmatch(code):
        raise Malformed("no code came with the answer")
    return code


def key_of(secret: str) -> str:
    """What is remembered of a code or refresh token."""
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()


def family_of(code_key: str) -> str:
    """The chain of refresh tokens that a code leads to, so that a replayed code ends it (RFC 6749 4.1.2)."""
    return key_of(f"family {code_key}")


def code_for(request: Asked, key: str, subject: Address, now: Instant, life: timedelta) -> Code:
    """The grant behind a new code."""
    return Code(
        key, request.client_id, request.redirect_uri, request.challenge, subject, request.scope, request.nonce,
        auth_time=now, expires=now + life,
    )  # fmt: skip


def require_code(code: Code, client_id: str, redirect_uri: str | None, now: Instant) -> None:
    """Returns None if the code was given to this client for this redirect URI and is young (RFC 6749 4.1.3).

    Raises:
        NotGranted: it was not, or is not.
    """
    if (code.client_id, code.redirect_uri) != (client_id, redirect_uri) or now >= code.expires:
        raise NotGranted("the code is another client's, for another redirect URI, or too old")


def require_verifier(code: Code, verifier: str) -> None:
    """Returns None if whoever redeems the code is the one who asked for it (RFC 7636 4.6).

    Raises:
        NotGranted: it is somebody else.
    """
    try:
        pkce.require_verifier(code.challenge, verifier)
    except Malformed as refusal:
        raise NotGranted(refusal.detail) from None


def require_refresh(grant: RefreshGrant, client_id: str, now: Instant) -> None:
    """Returns None if the refresh token was given to this client and lives.

    Raises:
        NotGranted: it was not, or does not.
    """
    if grant.client_id != client_id or now >= grant.expires:
        raise NotGranted("the refresh token is another client's, or too old")


def require_login(user: User, auth_time: Instant) -> None:
    """Returns None if the user may go on with a login made at `auth_time`.

    Raises:
        NotGranted: the user is suspended, or is another one who got the address of a user that was removed.
    """
    if user.suspended or auth_time < user.created:
        raise NotGranted("the user may not log in any more")


def narrowed(granted: str, wanted: str | None) -> str:
    """The scope of the next access token (RFC 6749 6).

    Raises:
        WrongScope: more is wanted than was granted.
    """
    if wanted is None:
        return granted
    if not set(wanted.split(" ")) <= set(granted.split(" ")):
        raise WrongScope("more scope than was granted")
    return wanted


@frozen
class Lives:
    """How long a login and its refresh tokens last."""

    refresh: timedelta
    login: timedelta

    def end(self, auth_time: Instant, now: Instant) -> Instant:
        """When a refresh token that is made now ends."""
        return min(now + self.refresh, auth_time + self.login)


def require_issued_to(owner: str, client_id: str) -> None:
    """Returns None if a token that is to be revoked was issued to the client that asks (RFC 7009 2.1).

    Raises:
        NotGranted: it was issued to another one.
    """
    if owner != client_id:
        raise NotGranted("the token is another client's")


def named(text: str) -> str:
    """The address that was typed, for the audit trail; "" for anything else, which may be a password."""
    try:
        return str(parse_address(text))
    except Malformed:
        return ""


def normal(password: str) -> str:
    """The password as it is hashed: the same however a keyboard composes its letters (RFC 8265 4.2.2)."""
    return unicodedata.normalize("NFC", password)


def require_password(password: str) -> None:
    """Returns None if it may become a password.

    Raises:
        Malformed: it is too short to withstand guessing, or longer than is checked.
    """
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise Malformed(f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters")


def require_public(form: Form) -> None:
    """Returns None if the client proves itself as registered, by nothing (RFC 7591 2 `none`).

    Raises:
        UnknownClient: it brings a secret or an assertion that nobody could check.
    """
    if any(form.one(name) is not None for name in ("client_secret", "client_assertion", "client_assertion_type")):
        raise UnknownClient("the client is registered as a public one")
