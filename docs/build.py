"""Renders docs/ and the pages at the root to build/docs; any warning of docutils ends it."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from docutils.core import publish_string
from docutils.utils import SystemMessage

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "docs"
_LINK = re.compile(r'href="([^":#]+)\.rst(#[^"]*)?"')
_STRICT = {
    "halt_level": 2,
    "report_level": 2,
    "embed_stylesheet": True,
    "file_insertion_enabled": True,
    "raw_enabled": False,
    "smart_quotes": False,
}


def pages() -> Iterator[Path]:
    """Every page that is rendered, relative to the repository."""
    for path in (*sorted(ROOT.glob("*.rst")), *sorted((ROOT / "docs").rglob("*.rst"))):
        yield path.relative_to(ROOT)


def render(page: Path) -> str:
    """One page as HTML, its links to other pages turned to theirs."""
    source = (ROOT / page).read_text(encoding="utf-8")
    html = publish_string(source, str(ROOT / page), writer="html5", settings_overrides=_STRICT).decode("utf-8")
    return _LINK.sub(r'href="\1.html\2"', html)


def build() -> int:
    """Render everything; how many pages could not be."""
    shutil.rmtree(OUT, ignore_errors=True)
    failed = 0
    for page in pages():
        target = (OUT / page).with_suffix(".html")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.write_text(render(page), encoding="utf-8")
        except SystemMessage as problem:
            sys.stderr.write(f"{page}: {problem}\n")
            failed += 1
    for picture in (ROOT / "docs").rglob("*.png"):
        shutil.copy(picture, OUT / picture.relative_to(ROOT))
    shutil.copytree(ROOT / "docs" / "diagrams", OUT / "docs" / "diagrams", ignore=shutil.ignore_patterns("*.py"))
    return failed


if __name__ == "__main__":
    sys.exit(1 if build() else 0)
