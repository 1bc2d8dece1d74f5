"""The OpenAPI 3.1 document of the user's API, put together from one table per role (OpenAPI 3.1.1 4.8)."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from rrsd.core.values.peers import Issuer, Origin, Url

Schema = Mapping[str, Any]


@frozen
class Operation:
    """One method of one path: what it does, what it takes, and what comes back by status.

    `parameters` name entries of the fragment's or the common parameters. `body` and the values of `answers` are
    descriptions with a media type and a schema, made by `content`. `scope` is what the token must have, "" for none.
    """

    method: str
    path: str
    summary: str
    answers: Mapping[str, Schema]
    parameters: tuple[str, ...] = ()
    body: Schema | None = None
    scope: str = "mail"


@frozen
class Fragment:
    """One role's part of the document."""

    operations: tuple[Operation, ...]
    schemas: Mapping[str, Schema] = {}
    parameters: Mapping[str, Schema] = {}


def content(description: str, media_type: str = "", schema: Schema | None = None) -> Schema:
    """A request's or an answer's content."""
    if not media_type:
        return {"description": description}
    return {"description": description, "content": {media_type: {"schema": schema or {}}}}


def ref(name: str) -> Schema:
    """A schema by name."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(schema: Schema) -> Schema:
    """A list of such things."""
    return {"type": "array", "items": schema}


def record(**members: Schema) -> Schema:
    """An object that has all these members."""
    return {"type": "object", "required": list(members), "properties": members}


def header(name: str, description: str) -> Schema:
    """A request header field."""
    return {"name": name, "in": "header", "description": description, "schema": TEXT}


def query(name: str, description: str, schema: Schema) -> Schema:
    """A parameter in the query, optional."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def segment(name: str, description: str, schema: Schema) -> Schema:
    """A segment of the path."""
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer", "minimum": 0}
MOMENT: Schema = {"type": "string", "format": "date-time"}
BYTES: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
DIGEST: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$", "description": "SHA-256, base64url"}
JSON = "application/json"
MAIL = "message/rfc822"
REFUSED = content("Refused, for the reason that is said.", JSON, ref("Refusal"))

COMMON = Fragment(
    operations=(
        Operation("GET", "/api/openapi.json", "This document.", {"200": content("OpenAPI 3.1", JSON)}, scope=""),
    ),
    schemas={"Refusal": record(error=TEXT, reason=TEXT)},
)
MAILBOX = Fragment(
    operations=(
        Operation("GET", "/api/messages", "Messages, newest first.", {
            "200": content("A page; `next` is the `before` of the page after it.", JSON, ref("Messages")),
        }, ("before", "most")),
        Operation("POST", "/api/messages", "Deliver a message to oneself, or one's own to others.", {
            "201": content("Accepted and durable; what a recipient has already is left out.", JSON, ref("Messages")),
        }, ("recipient",), content("A message, with CRLF line ends", MAIL, BYTES)),
        Operation("GET", "/api/messages/{message}", "One message and how far its parts are.", {
            "200": content("The message", JSON, ref("Message")),
        }, ("message",)),
        Operation("GET", "/api/messages/{message}/raw", "The complete message, attachments in their places.", {
            "200": content("The message as it was written", MAIL, BYTES),
            "503": content("An attachment has not arrived; come back later.", JSON, ref("Refusal")),
        }, ("message", "prefer")),
        Operation("GET", "/api/messages/{message}/parts/{index}", "One attachment, also while it arrives.", {
            "200": content("All bytes", "*/*", BYTES),
            "202": content("It has not arrived yet, and goes first from now on.", JSON, ref("Part")),
            "206": content("The range that was asked for", "*/*", BYTES),
            "304": content("The client has it."),
            "410": content("It will not arrive.", JSON, ref("Refusal")),
            "416": content("The range lies outside.", JSON, ref("Refusal")),
        }, ("message", "index", "prefer", "range", "if_range", "if_none_match")),
        Operation("GET", "/api/events", "What happens to the user's pulls, as it happens.", {
            "200": content("Events called `progress`, whose data is a News", "text/event-stream", ref("News")),
        }),
    ),
    schemas={
        "Messages": record(messages=listed(ref("Message")), next={"type": ["string", "null"], "format": "date-time"}),
        "Message": record(
            message=TEXT, message_id=TEXT, sender=TEXT, recipient=TEXT, subject=TEXT, date=TEXT, received=MOMENT,
            parts=listed(ref("Part")),
        ),
        "Part": record(
            index=NUMBER, digest=DIGEST, size=NUMBER, media_type=TEXT, filename=TEXT, done=NUMBER, explanation=TEXT,
            arrival={"type": "string", "enum": ["waiting", "arriving", "stored", "held", "failed"]},
        ),
        "News": record(message=TEXT, part=NUMBER, job=NUMBER, state=TEXT, done=NUMBER, size=NUMBER),
    },
    parameters={
        "before": query("before", "Only messages received before this moment.", MOMENT),
        "most": query("most", "At most so many.", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
        "recipient": query("recipient", "An address of this domain; without any, the user's own.", listed(TEXT)),
        "message": segment("message", "The message's name.", TEXT),
        "index": segment("index", "The attachment's number, from 0.", NUMBER),
        "prefer": header("Prefer", "`wait=60`: how many seconds to wait for what has not arrived (RFC 7240)."),
        "range": header("Range", "One range of bytes; honoured once the attachment is stored."),
        "if_range": header("If-Range", "The ETag that the range belongs to."),
        "if_none_match": header("If-None-Match", "The ETag of what the client has."),
    },
)  # fmt: skip


def build_document(
    issuer: Issuer, origin: Origin, authorize: Url | None, token: Url, fragments: Sequence[Fragment]
) -> dict[str, Any]:
    """The document of an API at `origin`, whose tokens come from `issuer` by its two endpoints.

    `fragments` are those of the roles that answer there; `COMMON` is always in it.
    """
    every = (COMMON, *fragments)
    paths: dict[str, dict[str, Any]] = {}
    for fragment in every:
        for operation in fragment.operations:
            paths.setdefault(operation.path, {})[operation.method.lower()] = _shown(operation)
    return {
        "openapi": "3.1.1",
        "info": {"title": f"Mail of {origin.host}", "version": "1", "description": _ABOUT},
        "servers": [{"url": str(origin)}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for fragment in every for name, schema in fragment.schemas.items()},
            "parameters": {name: schema for fragment in every for name, schema in fragment.parameters.items()},
            "securitySchemes": {"issuer": _security(issuer, authorize, token, every)},
        },
    }


_ABOUT = "Messages and their attachments, for the recipient's client. Errors carry the reason for the refusal."


def _shown(operation: Operation) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in operation.parameters],
        "responses": {**operation.answers, "default": REFUSED},
        "security": [{"issuer": [operation.scope]}] if operation.scope else [],
    }
    if operation.body is not None:
        shown["requestBody"] = {"required": True, **operation.body}
    return shown


def _security(issuer: Issuer, authorize: Url | None, token: Url, fragments: Sequence[Fragment]) -> dict[str, Any]:
    scopes = {each.scope: f"The user's {each.scope}" for one in fragments for each in one.operations if each.scope}
    if authorize is None:
        return {"type": "http", "scheme": "bearer", "description": f"An access token of {issuer} (RFC 9068)"}
    flow = {"authorizationUrl": str(authorize), "tokenUrl": str(token), "scopes": scopes}
    return {"type": "oauth2", "description": f"Tokens of {issuer}", "flows": {"authorizationCode": flow}}
