"""The shipped policies and the operator's file."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Forbidden, Malformed
from rrsd.drivers.policy.service import MOST_BYTES, build_engine, find_policies, read_schema
from rrsd.drivers.policy.settings import Settings

OWN = '@id("own") forbid (principal is User, action, resource is Grant) when { resource.size > 1000 };\n'


class Files(SynchronousTestCase):
    """What is read and what is refused."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def write(self, text: str | bytes, mode: int = 0o644) -> Settings:
        """The operator's file, and the settings that name it."""
        self.path.write_bytes(text.encode() if isinstance(text, str) else text)
        self.path.chmod(mode)
        return Settings(path=str(self.path))

    def refused(self, text: str | bytes, said: str, mode: int = 0o644, refusal: type[Exception] = Malformed) -> None:
        """The file cannot be used; the detail says why."""
        raised = self.assertRaises(refusal, build_engine, self.write(text, mode))
        self.assertIn(said, str(raised))
        self.assertIn(str(self.path), str(raised))

    def test_shipped(self) -> None:
        """The policies that come with rrsd have no error, and a name each."""
        policies, flaws = find_policies(Settings(), read_schema())
        self.assertEqual(([each.name for each in policies], flaws), (["grant-names-user", "client-is-registered"], ()))

    def test_added(self) -> None:
        """The operator's are beside them, or instead of them."""
        settings = self.write(OWN)
        self.assertEqual(list(build_engine(settings).policies.by_name)[2:], ["own"])
        alone = build_engine(Settings(path=str(self.path), defaults=False))
        self.assertEqual(list(alone.policies.by_name), ["own"])
        self.assertEqual(list(build_engine(Settings(defaults=False)).policies.by_name), [])

    def test_z05_written_by_others(self) -> None:
        """A file that its group or the world may write is nobody's word."""
        for mode in (0o664, 0o646, 0o666):
            self.refused(OWN, "chmod go-w", mode, Forbidden)

    def test_unreadable(self) -> None:
        """Missing, a folder, too large, not text."""
        self.assertIn("No such file", str(self.assertRaises(Malformed, build_engine, Settings(path=str(self.path)))))
        self.refused(b"\xff", "UTF-8")
        self.refused(" " * (MOST_BYTES + 1), "larger")

    def test_a_shipped_name(self) -> None:
        """An operator's policy does not hide behind the name of one of ours."""
        self.refused(OWN.replace("own", "grant-names-user"), 'line 1: @id("grant-names-user")')

    def test_every_error(self) -> None:
        """All errors are said, in order, and nothing is used."""
        text = f"{OWN}permit;\n{OWN.replace('own', 'grant-names-user')}{OWN}"
        flaws = find_policies(self.write(text), read_schema())[1]
        self.assertEqual([each.line for each in flaws], [2, 3, 4])
        self.refused(text, "line 2: ")
        self.refused(text, "and 2 more: rrsctl check lists them")
