"""The repository as the architecture tests see it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rrsd"

_SKIPPED = {"__pycache__", "build", "dist", "demo-data", "bench-data", "htmlcov", "node_modules"}
_TEXT = {".py", ".rst", ".ini", ".cfg", ".toml", ".yaml", ".sql", ".html", ".css", ".js", ".json", ".svg", ".service"}
_TEXT |= {".socket", ".sysusers", ".tmpfiles", ""}


def sources() -> Iterator[Path]:
    """Every Python file of the package."""
    return (path for path in sorted(PACKAGE.rglob("*.py")) if not _SKIPPED.intersection(path.parts))


def texts() -> Iterator[Path]:
    """Every text file of the repository that somebody wrote."""
    for path in sorted(ROOT.rglob("*")):
        inside = path.relative_to(ROOT).parts
        hidden = inside[0].startswith(".") and inside[0] != ".ci"
        made = _SKIPPED.intersection(inside) or any("_trial_temp" in part or "egg-info" in part for part in inside)
        if path.is_file() and not hidden and not made and path.suffix in _TEXT:
            yield path


def module_of(path: Path) -> str:
    """The dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def rooms_in(floor: str) -> set[str]:
    """The rooms that have at least one module under roles/ or drivers/."""
    folders = (path for path in (PACKAGE / floor).iterdir() if path.is_dir())
    return {path.name for path in folders if any(path.glob("*.py"))}


def rfcs_in(text: str) -> set[str]:
    """The numbers of the RFCs that a text cites."""
    return set(re.findall(r"\bRFC (\d{3,5})\b", text))
