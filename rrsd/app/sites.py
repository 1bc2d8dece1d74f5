"""Which role answers at which path, on the public listener and on the operator's."""

from typing import Any

from rrsd.app.effects import Effects
from rrsd.app.keys import KeysCheck
from rrsd.app.means import Means
from rrsd.app.people import People, home_of
from rrsd.app.policies import PolicyDesk
from rrsd.app.resources import Retrieving, Serving
from rrsd.app.token_endpoint import TokenEndpoint
from rrsd.app.urls import Mount, Switchboard, switchboard
from rrsd.config.settings import Settings
from rrsd.roles.admin.flow import Window
from rrsd.roles.admin.ports import Keys, Reload
from rrsd.roles.admin.register import Register
from rrsd.roles.admin.resource import Desk, Status
from rrsd.roles.identity.resource import IdentityPages
from rrsd.roles.idp.resource import LoginPages
from rrsd.roles.rra.api import MailboxPages
from rrsd.roles.rra.local import Operator
from rrsd.roles.rra.openapi import MAILBOX, REFUSED, build_document
from rrsd.roles.rs.openapi import PATHS
from rrsd.roles.rs.resource.links import LinkPages
from rrsd.roles.rs.resource.senders import SendersPages
from rrsd.roles.rs.resource.strangers import StrangersPages
from rrsd.roles.rs.rules_links import PATH

WELL_KNOWN = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
    "/.well-known/webfinger",
    "/jwks",
)


def public_site(
    settings: Settings, effects: Effects, people: People, serving: Serving, retrieving: Retrieving
) -> Switchboard:
    """What the world sees."""
    resource_metadata = _resource_metadata(settings)
    mounts = [
        Mount(
            StrangersPages(resource_metadata, serving.gate, serving.strangers, serving.renewals).routes.resource(),
            STRANGERS_PATHS,
        ),
        Mount(LinkPages(serving.gate, serving.sharing).routes.resource(), (PATH,)),
        Mount(
            SendersPages(resource_metadata, serving.gate, serving.senders).routes.resource(),
            ("/api/uploads", "/api/outgoing"),
        ),
        Mount(_mailbox(settings, effects, people, retrieving).routes.resource(), ("/api",)),
        Mount(IdentityPages(people.publication).routes.resource(), WELL_KNOWN),
        Mount(_token_endpoint(settings, people).routes.resource(), ("/token", "/introspect", "/revoke")),
    ]
    if settings.idp.issuer is None:
        pages = LoginPages(people.login, str(settings.domain.name))
        mounts.append(Mount(pages.routes.resource(), ("/authorize", "/rrs/code")))
    return switchboard(tuple(mounts))


def _token_endpoint(settings: Settings, people: People) -> TokenEndpoint:
    exchange, about, login = people.exchange, people.about, people.login
    admission = exchange.admission
    if settings.idp.issuer is not None:
        return TokenEndpoint(exchange.grants, admission, about.introspect, about.revoke, {})
    public = dict.fromkeys(login.clients, login.revoke)
    grants = {**exchange.grants, **login.grants}
    return TokenEndpoint(grants, admission, about.introspect, about.revoke, public)


def _resource_metadata(settings: Settings) -> str:
    """Where the RFC 9728 document is that every challenge names."""
    return f"{settings.rs.origin}/.well-known/oauth-protected-resource"


QUEUE_PATHS = ("/openapi.json", "/queue", "/pulls", "/shape", "/destinations", "/store", "/deliver", "/delegations")
STRANGERS_PATHS = ("/.well-known/ni/sha-256", "/rrs/chunks/sha-256", "/rrs/receipts", "/rrs/renewals", "/rrs/contacts")


def _mailbox(settings: Settings, effects: Effects, people: People, retrieving: Retrieving) -> MailboxPages:
    return MailboxPages(
        trust=people.identity,
        reader=retrieving.reader,
        posting=retrieving.posting,
        feed=retrieving.feed,
        timers=effects.timers,
        clock=effects.reactor,
        document=api_document(settings),
        most_message=settings.rra.most_message,
        audit=people.exchange.admission.audit,
        resource_metadata=_resource_metadata(settings),
    )


def api_document(settings: Settings) -> dict[str, Any]:
    """The OpenAPI document of everything that a user's client may ask."""
    issuer = settings.domain.issuer
    metadata = home_of(settings).metadata
    origin = settings.rra.origin or issuer.origin
    document = build_document(issuer, origin, metadata.authorization_endpoint, metadata.token_endpoint, (MAILBOX,))
    components = document["components"]
    components["responses"] = {"Refused": REFUSED}
    components["securitySchemes"]["bearer"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    return {**document, "paths": {**document["paths"], **PATHS}}


def local_site(window: Window, retrieving: Retrieving, most_message: int) -> Switchboard:
    """What the administrator sees."""
    operator = Operator(retrieving.operations, retrieving.acceptance, retrieving.stock, retrieving.moving, most_message)
    return switchboard(
        (
            Mount(Status(window).routes.resource(), ("/health", "/ready", "/metrics")),
            Mount(
                Desk(window, retrieving.operations.audit).routes.resource(),
                ("/users", "/keys", "/identity", "/policy", "/reload"),
            ),
            Mount(Register(window, retrieving.operations.audit).routes.resource(), ("/clients",)),
            Mount(operator.routes.resource(), QUEUE_PATHS),
        )
    )


def status_site(window: Window) -> Switchboard:
    """What any program on this host may see."""
    return switchboard((Mount(Status(window).routes.resource(), ("/health", "/ready", "/metrics")),))


def build_window(means: Means, people: People, retrieving: Retrieving, keys: Keys, reload: Reload) -> Window:
    """The operator's window on all of it."""
    settings = means.settings
    return Window(
        users=people.administration,
        keys=keys,
        pulls=retrieving.operations,
        identity=people.inspection,
        clients=people.registry,
        policy=PolicyDesk(settings.policy, means.doors.policies, means.store, people.registry, means.effects.timers),
        checks={"store": means.store.check, "keys": KeysCheck(means.doors.keyring), "audit": means.audit.check},
        reload=reload,
        meters=means.audit.meters,
        notes=retrieving.operations.governing.notes,
    )
