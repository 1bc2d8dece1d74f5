"""Requests to OAuth endpoints: forms, bearer tokens, challenges (RFC 6749 3.2, RFC 6750 2.1 and 3, RFC 9110 11)."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from attrs import field, frozen

from rrsd.core.refusals import Malformed, Unauthenticated, Unsupported

FORM = "application/x-www-form-urlencoded"
MOST_PARAMETERS = 64
MOST_NAME = 64
"""Bytes of a parameter's name that is remembered."""
REPEATABLE = frozenset({"resource", "audience"})  # RFC 8707 2, RFC 8693 2.1

_ENCODED = re.compile(rb"[!-$&-:<-~]*(?:%[0-9A-Fa-f]{2}[!-$&-:<-~]*)*")  # visible ASCII without "%" and ";"
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)", re.ASCII)
_INVISIBLE = re.compile(r"[^ -~]")


@frozen
class Form:
    """The parameters of a request, those with an empty value left out (RFC 6749 3.2)."""

    values: Mapping[str, tuple[str, ...]] = field(repr=False)

    def one(self, name: str) -> str | None:
        """The parameter, or None when it is absent.

        Raises:
            Malformed: it came more than once.
        """
        values = self.many(name)
        if len(values) > 1:
            raise Malformed("parameter came twice")
        return values[0] if values else None

    def required(self, name: str) -> str:
        """The parameter.

        Raises:
            Malformed: it is absent, or came more than once.
        """
        value = self.one(name)
        if value is None:
            raise Malformed(f"parameter {name} is missing")
        return value

    def many(self, name: str) -> tuple[str, ...]:
        """All values of the parameter, in order."""
        return self.values.get(name, ())


def parse_form(content_type: str | None, query: bytes, body: bytes) -> Form:
    """The form in a request's body.

    Raises:
        Unsupported: the body is of another media type.
        Malformed: parameters in the URL, a repeated one that may not be, more than `MOST_PARAMETERS`, a broken
            percent-encoding, text that is not UTF-8, NUL, or `;` as a separator.
    """
    if (content_type or "").partition(";")[0].strip().lower() != FORM:
        raise Unsupported("not a form")
    if query:
        raise Malformed("parameters in the URL")
    fields = body.split(b"&") if body else []
    if len(fields) > MOST_PARAMETERS:
        raise Malformed("too many parameters")
    found: dict[str, list[str]] = {}
    for each in fields:
        name, value = _parse_field(each)
        found.setdefault(name, []).append(value)
    if any(len(values) > 1 and name not in REPEATABLE for name, values in found.items()):
        raise Malformed("parameter came twice")
    kept = {name: tuple(filter(None, values)) for name, values in found.items()}
    return Form({name: values for name, values in kept.items() if values})


def _parse_field(text: bytes) -> tuple[str, str]:
    name, equals, value = text.partition(b"=")
    if not name or not equals:
        raise Malformed("parameter without name or value")
    # The same few names come with every request; values may be secrets, and are not remembered.
    return _decode_name(name) if len(name) <= MOST_NAME else _decode(name), _decode(value)


@lru_cache(maxsize=256)
def _decode_name(name: bytes) -> str:
    return _decode(name)


def _decode(text: bytes) -> str:
    if not _ENCODED.fullmatch(text):
        raise Malformed("percent-encoding")
    spaced = text.replace(b"+", b" ")
    try:
        decoded = (unquote_to_bytes(spaced) if b"%" in spaced else spaced).decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("parameter is not UTF-8") from None
    if "\0" in decoded:
        raise Malformed("NUL in a parameter")
    return decoded


def parse_bearer(headers: Sequence[str]) -> str:
    """The token in a request's Authorization fields; the scheme is compared without case.

    Raises:
        Unauthenticated: there is none.
        Malformed: two fields, another scheme, or characters outside RFC 6750 2.1.
    """
    if not headers:
        raise Unauthenticated("no Authorization")
    found = _BEARER.fullmatch(headers[0])
    if len(headers) > 1 or found is None:
        raise Malformed("Authorization does not hold one token of the scheme Bearer")
    return found[1]


def render_challenge(scheme: str, **parameters: str) -> str:
    """The value of a WWW-Authenticate field; whatever is no visible ASCII is dropped from the parameters."""
    quoted = ", ".join(f'{name}="{_escape(value)}"' for name, value in parameters.items())
    return f"{scheme} {quoted}" if quoted else scheme


def _escape(value: str) -> str:
    return _INVISIBLE.sub("", value).replace("\\", "\\\\").replace('"', '\\"')
