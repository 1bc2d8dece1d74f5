"""What no source file may do."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.architecture.tree import PACKAGE, ROOT, module_of, parsed, sources

MOST_LINES = 400
MOST_FUNCTION_LINES = 40

MAY_INSTALL_A_REACTOR = ("rrsd.web", "rrsd.app", "rrsd.drivers.fetch", "rrsd.protect")
"""Klein and treq install the reactor when they are imported; so these rooms, and the roles' modules that import
`rrsd.web`, are imported by `makeService` only."""

WITNESSES = {
    "ProvenPeer": ("rrsd.core.proof.binding",),
    "Introduction": ("rrsd.core.proof",),
    "ClientProof": ("rrsd.core.proof",),
    # The issuer says what the token that it is about to sign will prove.
    "VerifiedAccess": ("rrsd.core.proof", "rrsd.roles.idp.claims"),
    "VerifiedAuthor": ("rrsd.core.proof",),
    "VerifiedDelegation": ("rrsd.core.proof",),
    "VerifiedImpersonation": ("rrsd.core.proof",),
}
"""Values that are evidence, and the only modules that may make them."""

_SCAN = """
import importlib, sys
for name in sys.stdin.read().split():
    importlib.import_module(name)
    if "twisted.internet.reactor" in sys.modules:
        raise SystemExit(name)
"""


class Budgets(SynchronousTestCase):
    """Files and functions stay small enough to be read."""

    def test_files(self) -> None:
        """No file is longer than the budget."""
        long = [module_of(path) for path in sources() if len(path.read_text().splitlines()) > MOST_LINES]
        self.assertEqual(long, [])

    def test_functions(self) -> None:
        """No function is longer than the budget."""
        long = [f"{module_of(path)}:{one.name}" for path in sources() for one in _functions(path) if _lines(one)]
        self.assertEqual(long, [])

    def test_package_files_hold_a_docstring_only(self) -> None:
        """An `__init__.py` says what the package is, and does nothing."""
        for path in sources():
            if path.name == "__init__.py" and path != PACKAGE / "__init__.py":
                body = [one for one in parsed(path).body if not _is_docstring(one)]
                self.assertEqual(body, [], path)

    def test_drawers_have_no_place(self) -> None:
        """No module is named after being useful."""
        banned = {"utils", "util", "helpers", "common", "misc", "base", "manager", "handler", "processor"}
        self.assertEqual([module_of(path) for path in sources() if path.stem in banned], [])


class Imports(SynchronousTestCase):
    """What importing may do."""

    def test_reactor_is_not_installed(self) -> None:
        """Importing any module but those that speak HTTP leaves the choice of the reactor to twistd."""
        names = [module_of(path) for path in sources() if not _may_install(path)]
        scan = subprocess.run(
            [sys.executable, "-c", _SCAN], input="\n".join(names), capture_output=True, text=True, cwd=ROOT, check=False
        )
        self.assertEqual(scan.returncode, 0, f"installs a reactor, or cannot be imported: {scan.stderr}")

    def test_twisted_folders_are_not_packages(self) -> None:
        """The checkout's twisted/ never hides the real one."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])

    def test_plugin_is_found(self) -> None:
        """`twistd` knows rrsd by its plugin."""
        from twisted.application.service import IServiceMaker
        from twisted.plugin import getPlugins

        self.assertIn("rrsd", [plugin.tapname for plugin in getPlugins(IServiceMaker)])


class Tests(SynchronousTestCase):
    """No promise hangs on a test that nobody runs."""

    def test_every_test_is_one_that_runs(self) -> None:
        """A function of that name inside another, or outside of all classes, is found by nobody."""
        wrong = [
            f"{module_of(path)}: {each.name}"
            for path in sorted((ROOT / "tests").rglob("*.py"))
            for scope in ast.walk(parsed(path))
            if isinstance(scope, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef)
            for each in scope.body
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_")
        ]
        self.assertEqual(wrong, [])


class Evidence(SynchronousTestCase):
    """Evidence is made by proof alone."""

    def test_witnesses_are_made_in_one_place(self) -> None:
        """A proven peer, an introduction or a verified token cannot be made up elsewhere."""
        made = [
            f"{module_of(path)}: {name}"
            for path in sources()
            for name in _called(path)
            if name in WITNESSES and not module_of(path).startswith(WITNESSES[name])
        ]
        self.assertEqual(made, [])


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (one for one in ast.walk(parsed(path)) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return (function.end_lineno or 0) - function.lineno + 1 > MOST_FUNCTION_LINES


def _called(path: Path) -> Iterator[str]:
    for one in ast.walk(parsed(path)):
        if isinstance(one, ast.Call):
            called = one.func
            yield called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _may_install(path: Path) -> bool:
    speaks_http = "roles" in path.parts and re.search(r"^from rrsd\.web\b", path.read_text(), re.MULTILINE)
    return module_of(path).startswith(MAY_INSTALL_A_REACTOR) or bool(speaks_http)
