"""The policies that stand in the operator's page, so that what is read is what is tested."""

import re
import textwrap
from collections.abc import Mapping

from tests.architecture.tree import ROOT

_BLOCK = re.compile(r"^\.\. policy\n\n::\n\n((?:    [^\n]*\n|\n)+)", re.MULTILINE)
_POLICY = re.compile(r'@id\("([^"]+)"\).*?;\n', re.DOTALL)


def documented() -> Mapping[str, str]:
    """Each policy of docs/operator/policy.rst by its name."""
    page = (ROOT / "docs" / "operator" / "policy.rst").read_text()
    text = "".join(textwrap.dedent(block) for block in _BLOCK.findall(page))
    return {found[1]: found[0] for found in _POLICY.finditer(text)}
