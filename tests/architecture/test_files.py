"""Documents, fragments, configuration and packaging agree with the code."""

import configparser
import re
import tomllib

from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.reference import render_reference
from rrsd.config.settings import parse_settings
from tests.architecture.tree import PACKAGE, ROOT, rfcs_in, sources, texts

_LINK = re.compile(r"`[^`<]*<([^`>]+)>`__?|^\.\. (?:image|figure|include):: (\S+)", re.MULTILINE)
_MACHINE = re.compile(r"(?<![\w.$])/(?:work|root|home|Users)/\w|\b(?:pypi|pythonhosted)\.org\b")
_NAMED = re.compile(r"``((?:rrsd|tests|docs|conf|bench|examples|twisted)/[\w./*-]+)``")
_FRAGMENT = re.compile(r"\d+(?:\.\d+)?\.([a-z]+)\.rst")


class Reference(SynchronousTestCase):
    """conf/rrsd.ini is what the rooms' settings say."""

    def test_complete_and_true(self) -> None:
        """Every key stands there with its default and its reason; `make reference` writes it again."""
        self.assertEqual((ROOT / "conf" / "rrsd.ini").read_text(), render_reference())

    def test_shown_defaults_are_the_defaults(self) -> None:
        """With every default written out, the file means the same."""
        text = (ROOT / "conf" / "rrsd.ini").read_text()
        before = re.split(r"^# One such section.*$", text, flags=re.MULTILINE)
        written = [re.sub(r"^#(?=[a-z_]+ =|    )", "", part, flags=re.MULTILINE) for part in before[:1]]
        written += [_uncommented_after_example(part) for part in before[1:]]
        self.assertEqual(parse_settings("".join(written)), parse_settings(text))

    def test_every_key_has_a_reason(self) -> None:
        """No key stands there without a line of why."""
        lines = (ROOT / "conf" / "rrsd.ini").read_text().splitlines()
        keys = [number for number, line in enumerate(lines) if re.match(r"#?[a-z_]+ =", line)]
        self.assertEqual([lines[number] for number in keys if not lines[number - 1].startswith("# ")], [])


class Documents(SynchronousTestCase):
    """Documents keep up with the code."""

    def test_standards_page_names_every_rfc_of_core(self) -> None:
        """What core cites, docs/standards.rst speaks about."""
        cited = set().union(*(rfcs_in(path.read_text()) for path in sources() if "core" in path.parts))
        self.assertEqual(cited - rfcs_in((ROOT / "docs" / "standards.rst").read_text()), set())

    def test_links_lead_somewhere(self) -> None:
        """Every relative link of a document is to a file that exists."""
        broken = []
        for path in (*ROOT.glob("*.rst"), *(ROOT / "docs").rglob("*.rst")):
            for found in _LINK.finditer(path.read_text()):
                target = (found.group(1) or found.group(2)).partition("#")[0]
                if target and ":" not in target and not (path.parent / target).exists():
                    broken.append(f"{path.relative_to(ROOT)}: {target}")
        self.assertEqual(broken, [])

    def test_no_page_is_an_orphan(self) -> None:
        """Every page under docs/ is linked from another."""
        linked = {ROOT / "docs" / "index.rst"}
        for path in (ROOT / "docs").rglob("*.rst"):
            targets = (found.group(1) for found in _LINK.finditer(path.read_text()) if found.group(1))
            linked |= {(path.parent / target.partition("#")[0]).resolve() for target in targets if ":" not in target}
        self.assertEqual(set((ROOT / "docs").rglob("*.rst")) - linked, set())

    def test_named_files_exist(self) -> None:
        """Every file of the repository that a document names is there; `*` stands for anything."""
        missing = []
        for path in (*ROOT.glob("*.rst"), *(ROOT / "docs").rglob("*.rst")):
            for named in _NAMED.findall(path.read_text()):
                if not any(ROOT.glob(named.rstrip("/"))):
                    missing.append(f"{path.relative_to(ROOT)}: {named}")
        self.assertEqual(missing, [])

    def test_examples_stand_in_their_page(self) -> None:
        """Each file of examples/ is included whole, so that what is read is what is tested."""
        page = (ROOT / "docs" / "developer" / "protect.rst").read_text()
        included = set(re.findall(r"^\.\. include:: \.\./\.\./examples/(\S+)$", page, re.MULTILINE))
        self.assertEqual(included, {path.name for path in (ROOT / "examples").iterdir() if path.is_file()})

    def test_nothing_speaks_of_one_machine(self) -> None:
        """No path of somebody's machine and no package host stands in a file."""
        found = [str(path.relative_to(ROOT)) for path in texts() if _MACHINE.search(path.read_text(errors="replace"))]
        self.assertEqual([name for name in found if name != "tests/architecture/test_files.py"], [])


class News(SynchronousTestCase):
    """Fragments that the changelog can be made of."""

    def test_fragments(self) -> None:
        """Each is named for an issue and a known type, and says something unless it is misc."""
        config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
        types = {one["directory"] for one in config["type"]}
        for path in (ROOT / config["directory"]).iterdir():
            if path.name in ("README.rst", ".gitignore"):
                continue
            match = _FRAGMENT.fullmatch(path.name)
            self.assertTrue(match and match.group(1) in types, path.name)
            self.assertTrue(path.read_text().strip() or path.name.endswith(".misc.rst"), path.name)


class Package(SynchronousTestCase):
    """What is installed is what is needed."""

    def test_data_files_are_packaged(self) -> None:
        """Every file under rrsd/ that is no module matches a pattern of setup.cfg."""
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg")
        patterns = setup["options.package_data"]["*"].split()
        data = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
        self.assertEqual([path.name for path in data if not any(path.match(pattern) for pattern in patterns)], [])

    def test_typed(self) -> None:
        """Type checkers of others may trust the annotations."""
        self.assertTrue((PACKAGE / "py.typed").exists())


def _uncommented_after_example(text: str) -> str:
    """The text after a repeated section's example, which ends at the first empty line and stays commented."""
    example, _, rest = text.partition("\n\n[")
    return example + "\n\n[" + re.sub(r"^#(?=[a-z_]+ =|    )", "", rest, flags=re.MULTILINE) if rest else text
