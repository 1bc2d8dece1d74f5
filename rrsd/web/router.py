"""Klein with the refusal table installed, and JSON answers.

Each mounted Klein application uses its own error handlers only, so every `Router` installs the table on construction.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast

from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from rrsd.core.refusals import Refusal, Unknown
from rrsd.core.wire.strictjson import render
from rrsd.runtime.logs import new_reference, scrub
from rrsd.web.refusals import TABLE, Shape, headers_of, shape_of

_OF_THE_CONTENT = ("Content-Length", "Content-Disposition", "Content-Encoding", "ETag", "Repr-Digest", "Last-Modified")
_NO_METHOD = Shape(405, "invalid_request")
_BUG = Shape(500, "server_error")


class Router(Klein):
    """Routes of one role. What a handler raises becomes an answer by the table of `rrsd.web.refusals`.

    `shapes` replaces rows for this router, as a token endpoint needs. A role whose object has a `resource_metadata`
    attribute, a URL, gets it into its challenges (RFC 9728 5.1), and a `note_refusal` of it hears of each refusal. With
    `details` the answer says what the audit trail would say, which is for the operator's own endpoint only. Anything
    but a refusal is a bug: a 500 with the reference of the log line, and never a text.
    """

    _log = Logger()

    def __init__(
        self,
        shapes: Mapping[type[Refusal], Shape] | None = None,
        reference: Callable[[], str] = new_reference,
        *,
        details: bool = False,
    ) -> None:
        super().__init__()
        self._details = details
        self._shapes = {**TABLE, **(shapes or {})}
        self._reference = reference
        self.url_map.merge_slashes = False
        self.handle_errors(Exception)(cast(Any, self._answer_failure))

    def _answer_failure(self, *args: Any) -> bytes:
        role = args[0] if len(args) > 2 else None
        request, failure = cast(Request, args[-2]), cast(Failure, args[-1])
        if request.startedWriting:
            return self._cut_off(request, failure)
        problem = failure.value
        if isinstance(problem, Refusal):
            return self._refuse(request, problem, role)
        if isinstance(problem, MethodNotAllowed):
            return _no_method(request, problem)
        if isinstance(problem, HTTPException):
            return self._refuse(request, Unknown(), role)
        return self._bug(request, failure)

    def _refuse(self, request: Request, refusal: Refusal, role: object) -> bytes:
        refusal = _noted(role, request, refusal)
        shape = self._shapes[type(refusal)]
        _clear(request)
        for name, value in headers_of(refusal, shape, getattr(role, "resource_metadata", "")).items():
            request.setHeader(name, value)
        self._log.debug("{method} {path} refused: {refusal}", method=_method(request), path=_path(request),
                        refusal=str(refusal))  # fmt: skip
        document = {"error": shape.error, "reason": refusal.reason}
        if self._details and refusal.detail:
            document["detail"] = refusal.detail
        return answer(request, document, shape.status, no_store=True)

    def _bug(self, request: Request, failure: Failure) -> bytes:
        reference = self._reference()
        self._log.failure("{method} {path} failed, reference {reference}", failure, method=_method(request),
                          path=_path(request), reference=reference)  # fmt: skip
        _note_fault(request, reference)
        _clear(request)
        document = {"error": _BUG.error, "reason": "fault", "reference": reference}
        return answer(request, document, _BUG.status, no_store=True)

    def _cut_off(self, request: Request, failure: Failure) -> bytes:
        """End an answer that has begun in the only way that cannot be taken for a whole one."""
        if not isinstance(failure.value, Refusal):
            reference = self._reference()
            self._log.failure("{path} broke off, reference {reference}", failure, path=_path(request),
                              reference=reference)  # fmt: skip
            _note_fault(request, reference)
        abort(request)
        return b""


def answer(request: IRequest, document: Mapping[str, Any], status: int = 200, *, no_store: bool = False,
           **headers: str) -> bytes:  # fmt: skip
    """Make `document` the JSON answer; `headers` are named with underscores, as in `Access_Control_Allow_Origin`."""
    reply = cast(Request, request)
    reply.setResponseCode(status, HTTPStatus(status).phrase.encode("ascii"))  # twisted.web has no words for 429
    body = render(document)
    given = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Content-Length": str(len(body))}
    if no_store:
        given["Cache-Control"] = "no-store"
    for name, value in {**given, **{key.replace("_", "-"): text for key, text in headers.items()}}.items():
        reply.setHeader(name, value)
    return body


def refuse(request: IRequest, refusal: Refusal, resource_metadata: str = "") -> bytes:
    """Make the refusal the answer, by the table of `rrsd.web.refusals`."""
    reply = cast(Request, request)
    _clear(reply)
    shape = shape_of(refusal)
    for name, value in headers_of(refusal, shape, resource_metadata).items():
        reply.setHeader(name, value)
    return answer(reply, {"error": shape.error, "reason": refusal.reason}, shape.status, no_store=True)


def abort(request: IRequest) -> None:
    """Close the request's connection at once, so that what was sent can never look complete."""
    channel = getattr(request, "channel", None)
    if channel is not None:
        channel.transport.abortConnection()


def _noted(role: object, request: Request, refusal: Refusal) -> Refusal:
    """The refusal, once the role has heard of it; that of the audit trail when it cannot be written (Z-08)."""
    note = getattr(role, "note_refusal", None)
    try:
        if note is not None:
            note(request, refusal)
    except Refusal as other:
        return other
    return refusal


def _note_fault(request: Request, reference: str) -> None:
    """Let the site write it down, where the request came over one that does."""
    failed = getattr(getattr(request, "site", None), "failed", None)
    if failed is not None:
        failed(request, reference)


def _no_method(request: Request, problem: MethodNotAllowed) -> bytes:
    request.setHeader("Allow", ", ".join(sorted(problem.valid_methods or ())))
    document = {"error": _NO_METHOD.error, "reason": "unsupported"}
    return answer(request, document, _NO_METHOD.status, no_store=True)


def _clear(request: Request) -> None:
    for name in _OF_THE_CONTENT:
        request.responseHeaders.removeHeader(name)


def _method(request: Request) -> str:
    return request.method.decode("ascii", "replace")


def _path(request: Request) -> str:
    return scrub(request.path.decode("ascii", "replace"))
