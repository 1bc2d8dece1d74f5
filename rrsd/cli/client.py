"""The user's API over https: messages, parts, uploads, news; the access token is renewed when it has to be."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from http.client import HTTPResponse
from typing import Any
from urllib.parse import quote

from attrs import define, field

from rrsd.cli.issuer import issuer_of
from rrsd.cli.profile import Keeper, Profile, Tokens
from rrsd.cli.transport import Line, document_of, require_good, secure_place
from rrsd.core.refusals import Damaged, NotGranted, Replayed, Unauthenticated
from rrsd.core.values.calls import Answer


@define(eq=False)
class Client:
    """One logged-in user at their domain's API."""

    keeper: Keeper
    _now: Callable[[], float]
    _line: Line | None = field(default=None, init=False)

    @property
    def profile(self) -> Profile:
        """The profile with an access token that can be used."""
        return self.keeper.fresh(self._now(), self._refresh)

    @property
    def name(self) -> str:
        """What people call the API."""
        return self.keeper.load().api

    def ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """The whole answer, whatever its status."""
        profile = self.profile
        return self._open(profile).ask(method, target, _authorized(profile, headers), body)

    def opened(self, target: str, headers: Mapping[str, str] | None = None) -> AbstractContextManager[HTTPResponse]:
        """The head of an answer to GET; the caller reads the body."""
        profile = self.profile
        return self._open(profile).opened("GET", target, _authorized(profile, headers))

    def good(self, answer: Answer, what: str) -> Answer:
        """`answer` if it is a success; otherwise the refusal that it means is raised."""
        return require_good(answer, what, self.name)

    def get(self, target: str, what: str) -> dict[str, Any]:
        """The JSON object at `target`."""
        return document_of(self.good(self.ask("GET", target), what), self.name)

    def post(self, target: str, document: object, what: str) -> Answer:
        """The answer to a JSON object."""
        data = json.dumps(document).encode()
        return self.good(self.ask("POST", target, {"Content-Type": "application/json"}, data), what)

    def messages(self, most: int = 50) -> list[dict[str, Any]]:
        """The mailbox, newest first."""
        found = self.get(f"/api/messages?most={most}", "list messages").get("messages")
        if not isinstance(found, list):
            raise Damaged(f"{self.name} did not answer with messages: is it an rrsd?")
        return found

    def message(self, message: str) -> dict[str, Any]:
        """One message with its parts."""
        document = self.get(f"/api/messages/{quote(message, safe='')}", f"show message {message}")
        inner = document.get("message")
        return inner if isinstance(inner, dict) else document

    def news(self) -> Iterator[dict[str, Any]]:
        """What happens in the mailbox, as it happens (server-sent events)."""
        with self.opened("/api/events", {"Accept": "text/event-stream"}) as response:
            if response.status != 200:
                self.good(Answer(response.status, {}, response.read(65536)), "tell what happens")
            yield from parse_events(iter(response.readline, b""))

    def close(self) -> None:
        """Let the connection go."""
        if self._line is not None:
            self._line.close()

    def _open(self, profile: Profile) -> Line:
        if self._line is None:
            self._line = Line(secure_place(profile.api, profile.hosts, profile.roots or None))
        return self._line

    def _refresh(self, profile: Profile) -> Tokens:
        tokens = profile.tokens
        if tokens is None or not tokens.refresh:
            raise Unauthenticated(f"the login of {profile.user} has ended: run `rrsctl login {profile.user}`")
        try:
            return issuer_of(profile).refresh(tokens.refresh, self._now())
        except (NotGranted, Replayed):
            raise Unauthenticated(f"the login of {profile.user} has ended: run `rrsctl login {profile.user}`") from None


def _authorized(profile: Profile, headers: Mapping[str, str] | None) -> dict[str, str]:
    tokens = profile.tokens
    return {**(headers or {}), "Authorization": f"Bearer {tokens.access if tokens else ''}"}


def parse_events(lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events; comments and other fields are passed over.

    Raises:
        Damaged: an event's data is not JSON.
    """
    data: list[str] = []
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            text, data = "\n".join(data), []
            try:
                document = json.loads(text)
            except ValueError:
                raise Damaged("the news stream is not JSON: try again") from None
            if isinstance(document, dict):
                yield document
