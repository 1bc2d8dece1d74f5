"""The API for our own users' programs, as the paths of an OpenAPI 3.1 document."""

from typing import Any

_BEARER: list[dict[str, list[str]]] = [{"bearer": []}]
_REFUSED = {"$ref": "#/components/responses/Refused"}
_UPLOAD_ID = {"name": "upload", "in": "path", "required": True, "schema": {"type": "string"}}
_MESSAGE_ID = {
    "name": "message_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "The Message-ID, or b64: and its base64url where it has characters that a path cannot hold",
}
_OFFSET_HEADER = {"description": "How many bytes are stored", "schema": {"type": "integer", "minimum": 0}}
_DIGEST = {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$", "description": "SHA-256, base64url without padding"}
_ADDRESSES = {"type": "array", "items": {"type": "string", "format": "email"}}

_UPLOAD = {
    "type": "object",
    "required": ["upload", "size", "offset", "expires", "digest"],
    "properties": {
        "upload": {"type": "string"},
        "size": {"type": "integer", "minimum": 0},
        "offset": {"type": "integer", "minimum": 0},
        "expires": {"type": "string", "format": "date-time"},
        "digest": {**_DIGEST, "type": ["string", "null"]},
    },
}
_BEGIN = {
    "type": "object",
    "required": ["size"],
    "additionalProperties": False,
    "properties": {
        "size": {"type": "integer", "minimum": 0},
        "media_type": {"type": "string"},
        "filename": {"type": "string"},
    },
}
_ATTACHMENT = {
    "type": "object",
    "required": ["digest"],
    "additionalProperties": False,
    "properties": {
        "digest": _DIGEST,
        "media_type": {"type": "string", "default": "application/octet-stream"},
        "filename": {"type": "string", "default": ""},
    },
}
_DRAFT = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "to": _ADDRESSES,
        "cc": _ADDRESSES,
        "bcc": _ADDRESSES,
        "subject": {"type": "string", "default": ""},
        "text": {"type": "string", "default": ""},
        "attachments": {"type": "array", "items": _ATTACHMENT},
        "days": {"type": "integer", "minimum": 1, "description": "How long recipients may fetch"},
    },
}
_GRANT = {
    "type": "object",
    "properties": {
        "recipient": {"type": "string", "format": "email"},
        "digest": _DIGEST,
        "size": {"type": "integer"},
        "media_type": {"type": "string"},
        "filename": {"type": "string"},
        "state": {
            "enum": ["kept", "downloaded", "withdrawn", "expired", "waiting"],
            "description": "kept: the recipient's domain has signed that it keeps its own copy; downloaded: by a "
            "personal link",
        },
        "not_after": {"type": "string", "format": "date-time"},
        "withdrawn": {"type": "boolean"},
        "receipted": {"type": ["string", "null"], "format": "date-time"},
        "downloaded": {"type": ["string", "null"], "format": "date-time"},
    },
}
_MESSAGE = {
    "type": "object",
    "required": ["message_id", "grants"],
    "properties": {"message_id": {"type": "string"}, "grants": {"type": "array", "items": _GRANT}},
}
_MESSAGES = {
    "type": "object",
    "required": ["messages"],
    "properties": {"messages": {"type": "array", "items": _MESSAGE}},
}
_RECEIPT = {
    "type": "object",
    "properties": {
        "recipient": {"type": "string", "format": "email"},
        "digest": _DIGEST,
        "size": {"type": "integer"},
        "filename": {"type": "string"},
        "receipted": {"type": "string", "format": "date-time"},
        "receipt": {"type": "string", "description": "A compact JWS, typ rrs-receipt+jwt, as it came"},
        "certificate": {"type": "string", "description": "PEM; the receipt is signed with its key"},
        "proof": {"type": "string", "description": "How the certificate was proved to be the recipient's domain's"},
    },
}
_RECEIPTS = {
    "type": "object",
    "required": ["message_id", "audience", "receipts"],
    "properties": {
        "message_id": {"type": "string"},
        "audience": {"type": "string", "format": "uri"},
        "receipts": {"type": "array", "items": _RECEIPT},
    },
}
_WITHDRAWN = {
    "type": "object",
    "required": ["withdrawn"],
    "properties": {"withdrawn": {"type": "integer", "minimum": 1}},
}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _upload(description: str) -> dict[str, Any]:
    return {**_json(description, _UPLOAD), "headers": {"Upload-Offset": _OFFSET_HEADER}}


def _operation(name: str, summary: str, responses: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "security": _BEARER,
        "responses": {**responses, "default": _REFUSED},
        **more,
    }


def _body(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {media_type: {"schema": schema}}}


PATHS: dict[str, Any] = {
    "/api/uploads": {
        "post": _operation(
            "begin_upload",
            "Begin an upload",
            {"201": _upload("Begun; `Location` says where the bytes go")},
            requestBody=_body("application/json", _BEGIN),
        ),
    },
    "/api/uploads/{upload}": {
        "parameters": [_UPLOAD_ID],
        "get": _operation("look_at_upload", "How far an upload is", {"200": _upload("How far it is")}),
        "patch": _operation(
            "continue_upload",
            "Store the next bytes, at most 8 MiB",
            {
                "200": _upload("Complete, with the digest"),
                "204": {"description": "Stored", "headers": {"Upload-Offset": _OFFSET_HEADER}},
            },
            parameters=[{"name": "Upload-Offset", "in": "header", "required": True, "schema": {"type": "integer"}}],
            requestBody=_body("application/octet-stream", {"type": "string", "format": "binary"}),
        ),
        "delete": _operation("cancel_upload", "Forget an upload", {"204": {"description": "Forgotten"}}),
    },
    "/api/outgoing": {
        "post": _operation(
            "send",
            "Grant the attachments to the recipients and get the placeholder message",
            {
                "201": {
                    "description": "The message, ready for the mail server",
                    "content": {"message/rfc822": {"schema": {"type": "string"}}},
                }
            },
            requestBody=_body("application/json", _DRAFT),
        ),
        "get": _operation("list_sent", "What was sent and who keeps a copy", {"200": _json("Newest first", _MESSAGES)}),
    },
    "/api/outgoing/{message_id}": {
        "parameters": [_MESSAGE_ID],
        "get": _operation("show_sent", "One message that was sent", {"200": _json("Its attachments", _MESSAGE)}),
        "delete": _operation("withdraw", "End the grants of a message", {"200": _json("How many", _WITHDRAWN)}),
    },
    "/api/outgoing/{message_id}/receipts": {
        "parameters": [_MESSAGE_ID],
        "get": _operation(
            "show_receipts",
            "What recipients' domains signed when they took copies of their own",
            {"200": _json("The receipts, and what is needed to check them", _RECEIPTS)},
        ),
    },
}
