"""Sections become settings objects, every error reported at once."""

from datetime import timedelta
from enum import StrEnum

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.ini import parse_ini
from rrsd.config.load import load
from rrsd.config.reference import render_reference
from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import ClientIdentifier, Domain, parse_client_identifier, parse_domain
from rrsd.core.values.settings import key


class Shape(StrEnum):
    """A choice."""

    ROUND = "round"
    SQUARE = "square"


@frozen
class Member:
    """One repeated section."""

    name: ClientIdentifier
    domains: tuple[Domain, ...] = key("domains it speaks for", example="bar.test")
    note: str | None = key("anything", None)


@frozen
class Room:
    """A room with required, optional and bounded keys."""

    wait: timedelta = key("how long", timedelta(seconds=5))
    most: int = key("how many", 10)
    shape: Shape = key("which", Shape.ROUND)
    secret_word: int = key("a number that is not shown", 0)
    members: tuple[Member, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.most > 100:
            raise Malformed("most is at most 100")


@frozen
class House:
    """A door and a room."""

    @frozen
    class Door:
        """A room where something must be said."""

        name: Domain = key("whose door", example="foo.test")

    door: Door
    room: Room


def loaded(text: str) -> tuple[House | None, list[str]]:
    """What `text` gives: the house, and the mistakes in words."""
    sections, unreadable = parse_ini(text)
    house, mistakes = load(sections, House)
    return house, [str(mistake) for mistake in (*unreadable, *mistakes)]


class Loading(SynchronousTestCase):
    """What is right is taken."""

    def test_defaults(self) -> None:
        """Only what has no default must be written."""
        house, mistakes = loaded("[door]\nname = foo.test\n")
        self.assertEqual(mistakes, [])
        self.assertEqual(house, House(door=House.Door(name=parse_domain("foo.test")), room=Room()))

    def test_values(self) -> None:
        """Written values replace defaults."""
        house, mistakes = loaded("[door]\nname = foo.test\n[room]\nwait = 2h\nshape = square\n")
        self.assertEqual(mistakes, [])
        assert house is not None
        self.assertEqual((house.room.wait, house.room.shape), (timedelta(hours=2), Shape.SQUARE))

    def test_repeated_sections(self) -> None:
        """Each repeated section becomes one member, named by the rest of its name."""
        house, mistakes = loaded("[door]\nname = foo.test\n[room.member._rra.bar.test]\ndomains = bar.test baz.test\n")
        self.assertEqual(mistakes, [])
        assert house is not None
        (member,) = house.room.members
        self.assertEqual(member.name, parse_client_identifier("_rra.bar.test"))
        self.assertEqual(member.domains, (parse_domain("bar.test"), parse_domain("baz.test")))


class Mistakes(SynchronousTestCase):
    """Whatever is wrong is said, all of it, with what would be right."""

    def test_all_at_once(self) -> None:
        """One run reports the missing key, the wrong value, the unknown key and the unknown section."""
        house, mistakes = loaded("[room]\nwait = soon\nmots = 1\n[roof]\n")
        self.assertIsNone(house)
        self.assertEqual(
            mistakes,
            [
                "[room] wait (line 2): 'soon' cannot be read; "
                "write a whole number with ms, s, min, h or d after it, as in 15s",
                "[room] mots (line 3): there is no such key; did you mean most?",
                "[roof] (line 4): there is no such section; did you mean [room]?",
                "[door] name: it is missing; write a domain name such as foo.test: name = foo.test",
            ],
        )

    def test_unknown_names_without_a_near_one(self) -> None:
        """Where nothing is near, the choices are listed."""
        _, mistakes = loaded("[door]\nname = foo.test\nxyzzy = 1\n[qqq]\n")
        self.assertIn("keys of [door] are name", mistakes[0])
        self.assertIn("sections are door, room, room.member.NAME", mistakes[1])

    def test_misnamed_repeated_section(self) -> None:
        """The rest of a repeated section's name must be of its type, and must be there."""
        _, mistakes = loaded("[door]\nname = foo.test\n[room.member.x]\ndomains = a.test\n[room.member.]\n")
        self.assertIn("[room.member.x] (line 3): this section is misnamed", mistakes[0])
        self.assertIn("[room.member.] (line 5): there is no such section", mistakes[1])

    def test_mistake_inside_a_repeated_section(self) -> None:
        """A repeated section is checked as any other."""
        _, mistakes = loaded("[door]\nname = foo.test\n[room.member._a.bar.test]\nnote = x\n")
        self.assertEqual(len(mistakes), 1)
        self.assertIn("[room.member._a.bar.test] domains (line 3): it is missing", mistakes[0])

    def test_bounds_of_the_room(self) -> None:
        """What a settings class refuses is reported with the class's own words."""
        _, mistakes = loaded("[door]\nname = foo.test\n[room]\nmost = 101\n")
        self.assertEqual(mistakes, ["[room] (line 3): these values do not fit; most is at most 100"])

    def test_secret_values_are_not_repeated(self) -> None:
        """The wrong value of a key that is named like a secret is not shown."""
        _, mistakes = loaded("[door]\nname = foo.test\n[room]\nsecret_word = hunter2\n")
        self.assertNotIn("hunter2", mistakes[0])


class Reference(SynchronousTestCase):
    """The reference that is made from the same classes."""

    def test_reference_loads_as_the_defaults(self) -> None:
        """The rendered reference is a configuration."""
        house, mistakes = loaded(render_reference(House))
        self.assertEqual(mistakes, [])
        self.assertEqual(house, House(door=House.Door(name=parse_domain("foo.test")), room=Room()))

    def test_given_values_are_written(self) -> None:
        """Values that are given stand there uncommented."""
        house, mistakes = loaded(render_reference(House, {("room", "wait"): "9s", ("door", "name"): "bar.test"}))
        self.assertEqual(mistakes, [])
        assert house is not None
        self.assertEqual((house.room.wait, house.door.name), (timedelta(seconds=9), parse_domain("bar.test")))
