"""The reference configuration: every section, every key, its default, and one line why.

Keys with a default are commented out, so that the file as it stands is a configuration, and the defaults are those of
the version that runs. `python -m rrsd.config.reference` prints it.
"""

import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import get_type_hints

import attrs

from rrsd.config.convert import render_value
from rrsd.config.load import Key, Repeated, keys_of, repeated_of
from rrsd.config.settings import Settings

_WIDTH = 100

_HEAD = """\
# rrsd: every key, its default, and why it is there.
#
# A line that begins with # is a comment; there are no comments after a value.  A list is written one value per line,
# the lines after the first indented.  Durations: 500ms, 15s, 10min, 12h, 7d.  Sizes: 4096, 64KiB, 8MiB, 1GiB.
# Keys that are commented out show their default; those that are not must be set.
# `rrsctl check` reads the file and reports every error in it at once.
"""

Given = Mapping[tuple[str, str], str]


def render_reference(whole: type = Settings, given: Given | None = None) -> str:
    """The text of conf/rrsd.ini for `whole`; `given` values, by section and key, are written instead of defaults."""
    hints = get_type_hints(whole)
    sections = ("\n".join(_section(f.name, hints[f.name], given or {})) for f in attrs.fields(whole))
    return _HEAD + "\n\n" + "\n\n".join(sections)


def _section(name: str, model: type, given: Given) -> Iterator[str]:
    yield f"[{name}]"
    for one in keys_of(model):
        yield from _key(name, one, given)
    for repeated in repeated_of(model):
        yield from _example(name, repeated)


def _key(section: str, one: Key, given: Given) -> Iterator[str]:
    yield from _said(one)
    if (section, one.name) in given:
        yield _assignment(one.name, given[section, one.name])
    elif one.required:
        yield _assignment(one.name, one.example)
    else:
        default = render_value(one.kind, one.default)
        yield textwrap.indent(_assignment(one.name, default), "#")
        if one.example and not default:
            yield textwrap.indent(_assignment(one.name, one.example), "# Example: ")
    yield ""


def _example(section: str, repeated: Repeated) -> Iterator[str]:
    """One repeated section, commented out altogether."""
    yield f"# One such section for each {repeated.prefix}."
    yield f"#[{section}.{repeated.prefix}.NAME]"
    for one in keys_of(repeated.model):
        yield from _said(one)
        text = one.example if one.required else render_value(one.kind, one.default)
        yield textwrap.indent(_assignment(one.name, text), "#")
    yield ""


def _said(one: Key) -> Iterable[str]:
    text = one.help[0].upper() + one.help[1:].rstrip(".") + "."
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _assignment(name: str, text: str) -> str:
    lines = text.split("\n")
    if len(lines) == 1:
        return f"{name} = {text}".rstrip()
    return "\n".join([f"{name} =", *(f"    {line}" for line in lines)])


if __name__ == "__main__":
    sys.stdout.write(render_reference())
