"""The whole domain in one object: drivers plugged into roles, nothing started and nothing listening yet."""

from collections.abc import Callable, Sequence

from attrs import frozen
from twisted.web.resource import IResource

from rrsd.app.keys import KeyDesk
from rrsd.app.mail import MailRoom, build_delivery, build_mail
from rrsd.app.means import Means
from rrsd.app.people import People, build_people
from rrsd.app.resources import Retrieving, Serving, build_retrieving, build_serving
from rrsd.app.sites import build_window, public_site
from rrsd.roles.admin.flow import Window
from rrsd.roles.rra.contacts import Contacts
from rrsd.runtime.bell import Bell


@frozen
class Composition:
    """A domain's roles on its drivers. `public` is what the world sees; `window` is the operator's."""

    means: Means
    people: People
    serving: Serving
    retrieving: Retrieving
    mail: MailRoom
    keys: KeyDesk
    window: Window
    public: IResource


def compose(means: Means) -> Composition:
    """The domain that the settings describe.

    Raises:
        Malformed, Unavailable: keys, certificates or clients cannot be used.
    """
    settings, effects, doors = means.settings, means.effects, means.doors
    contacts = Contacts(timers=effects.timers, bell=Bell(effects.reactor))
    doors.watchers.append(contacts.changed)
    people = build_people(means, contacts.heard)
    delivery = build_delivery(means, people)
    notices = None if delivery is None else delivery.notices
    serving = build_serving(means, people, notices, contacts)
    retrieving = build_retrieving(means, people, contacts, notices)

    async def reload(decided: Callable[[Sequence[str]], None]) -> Sequence[str]:
        return doors.reload(decided)

    keys = KeyDesk(settings, doors, means.audit, people.inspection.verify)
    window = build_window(means, people, retrieving, keys, reload)
    public = public_site(settings, effects, people, serving, retrieving)
    mail = build_mail(means, people, retrieving, serving.sharing, delivery)
    return Composition(means, people, serving, retrieving, mail, keys, window, public)
