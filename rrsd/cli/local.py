"""The administrator's endpoint of a running daemon: HTTP over a unix socket that file permissions guard.

The section `[admin]` names the socket (default /run/rrsd/admin.sock). Bodies and answers are JSON objects unless said
otherwise; instants are ISO 8601 in UTC; a refusal is {"error", "reason"} with the status of `rrsd.web.refusals`.

==========================================  =========================================================================
GET /health, GET /ready                     200 {"status": "ok"} or 503
GET /metrics                                Prometheus text
GET /openapi.json                           what is below about pulls, queue, store and destinations, as OpenAPI 3.1
GET /queue                                  {"by_state": {state: number}, "bytes_waiting": number, "rulings": [ruling]}
POST /queue/drain, /queue/undrain           body {"reason"} -> {"rulings": [ruling]}
POST /queue/export                          body {"after": number} -> {"header", "lines": [line], "left_out": [number],
                                            "next": number or null}
POST /queue/import                          body line -> {"pulls": number}; line: "recipient", "granted", "raw" (in
                                            base64), "pulls": [{"index", "state", "priority"}]
GET /pulls?state=&origin=&recipient=&…      {"pulls": [job], "next": number or null, "rulings": [ruling]}; also
                                            sender, condition, age (seconds), at_risk (1), after, most
GET /shape?most=                            {"ages": [seconds], "rows": [{"name", "destinations", "total", "counts"}],
                                            "total"}; the row without a name is the rest
POST /store/verify                          body {"rate": bytes a second} -> 202 and a run: "started", "ended", "share",
                                            "looked", "bytes", "rate", "failed", "damaged": [{"digest", "pulls",
                                            "again"}], "unreadable": [digest]
GET /store/verify                           the run
GET /store/gc?most=                         {"partials": [{"name", "size", "why"}], "resources": [{"digest", "size",
                                            "why"}], "count", "bytes"}
GET /destinations?name=                     {"destinations": [destination], "changes": [change], "rulings": [ruling]}
POST /destinations/<verb>                   body {"name": origin, "reason", "most"} -> {"rulings": [ruling]}; verb:
                                            pause, resume, limit; retry -> {"woken": number, "wait": seconds};
                                            retry-issuer, without a body, -> {"asked": boolean}
GET /pulls/<id>                             {"job": job, "history": [row], "fetch": fetch}
GET /pulls/<id>/explain                     {"text": sentences, "facts": {"state", "blame", "evidence", "next",
                                            "remedy", "waits_for": [name], "ahead", "eta", "at_risk", "successor",
                                            "attempts": [row]}}
POST /pulls/<id>/<act>                      body {"for": seconds, "priority"} where act needs it -> {"job": job}; act:
                                            a row of `rrsd.roles.rra.verbs`
POST /pulls/<act>                           body {"all": true, filters as above} -> {"jobs", "token", "seconds"}; with
                                            "token" and "after" -> {"changed", "unchanged", "next": number or null}
GET /users                                  {"users": [{"address", "suspended", "created", "held", "reserved", "quota",
                                            "limit"}], "quota"}: bytes, 0 no limit, null the domain's
POST /users                                 body {"address", "password"} -> {"address"}
POST /users/<address>/password              body {"password"} -> {"address"}
POST /users/<address>/suspend, /resume      {"address"}
POST /users/<address>/quota                 body {"quota": bytes, 0 or null} -> {"address", "quota"}
DELETE /users/<address>                     204 or {"address"}
POST /deliver?sender=&recipient=&…          body message/rfc822, sender empty for a bounce, recipient once or more
                                            -> {"accepted": [{"recipient", "message", "pulls": [number]}]}
POST /delegations                           body {"user", "resource"} -> {"user", "resource", "delegation": a token}
GET /clients, GET /clients/<name>           {"clients": [client]}, client: "name", "from", "disabled", "auth", …
POST /clients                               body {"name", and as `rrsd.roles.sts.clients.parse_client`} -> client
POST /clients/<name>/disable, /enable       client
DELETE /clients/<name>                      {"name"}
GET /keys                                   {"keys": [{"kid", "state", "since"}], "client": client, "clients":
                                            [client], "following": {"step", "due"}, "records": [lines of a zone]}
POST /keys/rotate                           as GET /keys, with "rotated": boolean
POST /keys/client/<step>                    body {"force": boolean} -> as GET /keys, with "changed": boolean; step:
                                            publish, use, withdraw
POST /identity/verify                       body {"name"} -> {"name", "kind", "believed", "refusal", "sentence",
                                            "methods": [{"method", "place", "state", "seen", "strength", "why",
                                            "refusal", "decides"}]}
POST /policy/explain                        body {"user", "resource", "action", "client", "method", "strength",
                                            "issuer", "at"}, or {"client", "target", "user", "evidence", "chain",
                                            "at"} -> {"asked", "permitted", "because", "answer", "note",
                                            "looked_at": [{"about", "state", "permitted", "because", "policies":
                                            [{"name", "file", "line", "text"}], "errors", "question"}]}
POST /reload                                {"reloaded": [names]}
==========================================  =========================================================================

job: the fields of `rrsd.core.values.jobs.Job` by name, and "done" (bytes here). row: "at", "before", "after", "event",
"evidence". destination: "name", "limit" (at once), "opened", "until", "failures", "probes", "reason". change: "kind",
"name", "at", "event", "before", "after", "until", "reason". ruling: "kind" (drain, pause, limit), "name", "at", "who",
"reason", "most". fetch: "origin", "digest", "epoch", "validator", "offset"
(bytes durable). Digests are ni names. client: "name", "state", "since", "x5t" (base64url), "spki" (hex), "not_after".
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define, field

from rrsd.cli.transport import Line, document_of, require_good, unix_place
from rrsd.core.values.calls import Answer

_WHO = "the daemon"


_SETTING = {"quota": "set the quota of", "password": "set the password of"}
"""What is done to a user, where its name is no verb."""


@define(eq=False)
class Local:
    """The daemon on this machine, as its administrator sees it."""

    socket: str
    _line: Line = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._line = Line(unix_place(self.socket))

    def close(self) -> None:
        """Let the connection go."""
        self._line.close()

    def status(self, name: str) -> tuple[bool, dict[str, Any]]:
        """Whether /health or /ready says yes, and all that it says."""
        answer = self._line.ask("GET", f"/{name}")
        return answer.status == 200, document_of(answer, self._line.place.name)

    def queue(self) -> dict[str, Any]:
        """Jobs by state, and bytes still to come."""
        return self._get("/queue", "count the queue")

    def pulls(self, wanted: Mapping[str, object] | None = None, after: int = 0, most: int = 100) -> dict[str, Any]:
        """A page of the jobs that are `wanted`, by number."""
        given = {**(wanted or {}), **({"after": after} if after else {}), "most": most}
        return self._get(f"/pulls?{urlencode(given)}", "list pulls")

    def shape(self, most: int) -> dict[str, Any]:
        """Live jobs by destination and age."""
        return self._get(f"/shape?most={most}", "count pulls")

    def govern(self, verb: str, given: Mapping[str, object]) -> dict[str, Any]:
        """Pause, resume, limit or probe a destination, or ask the token service."""
        return self._post(f"/destinations/{verb}", given, f"{verb} {given.get('name', '')}".strip())

    def export(self, after: int) -> dict[str, Any]:
        """Messages of which something has not arrived, a page of them."""
        return self._post("/queue/export", {"after": after}, "export the queue")

    def take(self, line: Mapping[str, object]) -> dict[str, Any]:
        """Take up one of them."""
        return self._post("/queue/import", line, "import a message")

    def verify_store(self, rate: int) -> dict[str, Any]:
        """Hash again everything that is stored."""
        return self._post("/store/verify", {"rate": rate}, "verify the store")

    def verifying(self) -> dict[str, Any]:
        """How far that is."""
        return self._get("/store/verify", "see how far the store is verified")

    def removable(self, most: int) -> dict[str, Any]:
        """What the next collection would remove."""
        return self._get(f"/store/gc?most={most}", "look for what would be removed")

    def drain(self, verb: str, reason: str = "") -> dict[str, Any]:
        """Let nothing new start, or let it start again."""
        return self._post(f"/queue/{verb}", {"reason": reason}, f"{verb} the queue")

    def destinations(self, name: str = "") -> dict[str, Any]:
        """How many pulls each destination may have at once, and why."""
        return self._get("/destinations" + (f"?{urlencode({'name': name})}" if name else ""), "list destinations")

    def pull(self, job: int) -> dict[str, Any]:
        """One job with its history and its transfer."""
        return self._get(f"/pulls/{job}", f"show pull {job}")

    def explain(self, job: int) -> dict[str, Any]:
        """Why a job is where it is, and what happens next."""
        return self._get(f"/pulls/{job}/explain", f"explain pull {job}")

    def act(self, job: int, act: str, given: Mapping[str, object]) -> dict[str, Any]:
        """Change one job; `given` is what the verb needs."""
        return self._post(f"/pulls/{job}/{act}", given, f"{act} pull {job}")

    def act_all(self, act: str, chosen: Mapping[str, object]) -> dict[str, Any]:
        """Change every job that is `chosen`: without a token only counted."""
        return self._post(f"/pulls/{act}", dict(chosen), f"{act} pulls")

    def users(self) -> dict[str, Any]:
        """Every user of the domain."""
        return self._get("/users", "list users")

    def add_user(self, address: str, password: str) -> dict[str, Any]:
        """A new user."""
        return self._post("/users", {"address": address, "password": password}, f"add {address}")

    def change_user(self, address: str, act: str, **given: str | int | None) -> dict[str, Any]:
        """Set a password or a quota, suspend or resume."""
        return self._post(f"/users/{quote(address, safe='@')}/{act}", given, f"{_SETTING.get(act, act)} {address}")

    def remove_user(self, address: str) -> None:
        """Forget a user."""
        answer = self._line.ask("DELETE", f"/users/{quote(address, safe='@')}")
        require_good(answer, f"remove {address}", _WHO)

    def explain_policy(self, asked: Mapping[str, object]) -> dict[str, Any]:
        """What policy would say about a request that is described, and why."""
        return self._post("/policy/explain", asked, "explain policy")

    def deliver(self, sender: str, recipients: Sequence[str], message: bytes) -> dict[str, Any]:
        """Accept a message for its recipients; durable when this returns."""
        query = urlencode([("sender", sender), *(("recipient", r) for r in recipients)])
        return self._document(
            self._line.ask("POST", f"/deliver?{query}", {"Content-Type": "message/rfc822"}, message),
            f"accept the message for {', '.join(recipients)}",
        )

    def delegate(self, user: str, resource: str) -> dict[str, Any]:
        """A delegation for the user at a resource server, bound to the agent's client certificate."""
        return self._post("/delegations", {"user": user, "resource": resource}, f"delegate {user} to {resource}")

    def keys(self) -> dict[str, Any]:
        """The signing keys and the client certificate, public parts only."""
        return self._get("/keys", "list keys")

    def rotate_keys(self) -> dict[str, Any]:
        """Let the next signing key sign."""
        return self._post("/keys/rotate", {}, "rotate keys")

    def change_client(self, step: str, *, is_forced: bool) -> dict[str, Any]:
        """Publish, use or withdraw a client key."""
        return self._post(f"/keys/client/{step}", {"force": is_forced}, f"{step} the client key")

    def verify(self, name: str) -> dict[str, Any]:
        """What the world publishes about a name, and whether it would be believed."""
        return self._post("/identity/verify", {"name": name}, f"verify {name}")

    def clients(self) -> dict[str, Any]:
        """Every client of the token service."""
        return self._get("/clients", "list clients")

    def client(self, name: str) -> dict[str, Any]:
        """One of them."""
        return self._get(f"/clients/{quote(name)}", f"show {name}")

    def add_client(self, name: str, registration: Mapping[str, object]) -> dict[str, Any]:
        """Register one."""
        return self._post("/clients", {"name": name, **registration}, f"add {name}")

    def change_client_of(self, name: str, act: str) -> dict[str, Any]:
        """Disable or enable one."""
        return self._post(f"/clients/{quote(name)}/{act}", {}, f"{act} {name}")

    def remove_client(self, name: str) -> dict[str, Any]:
        """Forget one."""
        return self._document(self._line.ask("DELETE", f"/clients/{quote(name)}"), f"remove {name}")

    def _get(self, target: str, what: str) -> dict[str, Any]:
        return self._document(self._line.ask("GET", target), what)

    def _post(self, target: str, body: Mapping[str, object], what: str) -> dict[str, Any]:
        data = json.dumps(body).encode()
        return self._document(self._line.ask("POST", target, {"Content-Type": "application/json"}, data), what)

    def _document(self, answer: Answer, what: str) -> dict[str, Any]:
        return document_of(require_good(answer, what, _WHO), self._line.place.name)
