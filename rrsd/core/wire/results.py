"""What we say of a message's authentication, and what others say in our name (RFC 8601)."""

from collections.abc import Sequence

from rrsd.core.wire.mime_fields import Field, named, render_field, without_comments

FIELD = "Authentication-Results"


def render_results(service: str, signer: str, selector: str) -> bytes:
    """The field that says: a DKIM signature of `signer` by its key `selector` was verified by `service` (2.2, 2.7.1).

    Raises:
        Malformed: a name cannot stand in a field.
    """
    return render_field(FIELD, f"{service};", f"dkim=pass header.d={signer} header.s={selector}")


def in_the_name_of(service: str, fields: Sequence[Field]) -> tuple[Field, ...]:
    """The Authentication-Results among the fields whose authserv-id is `service`, and those whose authserv-id cannot be
    told (5)."""
    return tuple(each for each in named(fields, FIELD.lower()) if _service(each.text) in (service.lower(), ""))


def _service(text: str) -> str:
    """The authserv-id, lower case; "" when there is none to be read."""
    plain = without_comments(text) or ""
    words = plain.partition(";")[0].replace('"', " ").split()
    return words[0].lower() if words else ""
