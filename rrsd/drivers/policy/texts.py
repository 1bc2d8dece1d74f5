"""Policy files taken apart: every policy by itself, with its line and its name, and every error at once."""

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import cedarpy
from attrs import frozen

MOST_POLICIES = 1000
"""Policies of one file; each costs every decision about a microsecond or two."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}", re.ASCII)
_PIECES = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|;|[^"/;]+|.', re.DOTALL)
_BLANK = re.compile(r"(?:\s|//[^\n]*(?:\n|\Z))*")
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_QUOTED = re.compile(r'`(?:\w+\.)*(\w+)`|::"(\w+)"')
_ABOUT = re.compile(r"^for policy `[^`]*`, ")
_EACH = re.compile(r' for Action::"\w+"')
_FOLLOWS = "unable to find an applicable action"

_RIGHT = "`rrsctl policy schema` lists everything that a policy may speak about"


@frozen
class Flaw:
    """One error in a policy file: the line where the policy begins, what is wrong with it, what would be right."""

    line: int
    wrong: str
    right: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.wrong}; {self.right}"


@frozen
class Policy:
    """One policy that fits the schema: its name (`@id`), where it stands, its text, and Cedar's JSON form of it."""

    name: str
    file: str
    line: int
    text: str
    form: Mapping[str, Any]


EVERYTHING = "*"
"""Stands for all names where a policy looks at the context as a whole."""


def names_in(form: object) -> Iterator[str]:
    """The attributes that a policy in Cedar's JSON form looks at, of whatever, and `EVERYTHING` where it compares the
    whole context. Entities have no such whole: they are equal by their names."""
    if form == _CONTEXT:
        yield EVERYTHING
    elif isinstance(form, Mapping):
        for operator, operand in form.items():
            if operator in (".", "has") and isinstance(operand, Mapping) and operand.keys() == {"left", "attr"}:
                yield operand["attr"]
                yield from () if operand["left"] == _CONTEXT else names_in(operand["left"])
            else:
                yield from names_in(operand)
    elif isinstance(form, list):
        for each in form:
            yield from names_in(each)


_CONTEXT = {"Var": "context"}


@frozen
class Schema:
    """The types that policies are checked against."""

    text: str
    handle: cedarpy.Schema

    @property
    def words(self) -> list[str]:
        """Every word in it."""
        return sorted(set(_WORD.findall(self.text)))


def parse_policies(text: str, file: str, schema: Schema) -> tuple[tuple[Policy, ...], tuple[Flaw, ...]]:
    """The policies of a file and every error in it; only policies without one are among the first."""
    pieces = list(split(text))
    if len(pieces) > MOST_POLICIES:
        return (), (Flaw(pieces[MOST_POLICIES][0], f"more than {MOST_POLICIES} policies", "write fewer"),)
    found: dict[str, Policy] = {}
    flaws: list[Flaw] = []
    for line, piece in pieces:
        read = _read(line, piece, file, schema)
        if not isinstance(read, Policy):
            flaws += read
        elif read.name in found:
            flaws.append(Flaw(line, f'@id("{read.name}") stands on line {found[read.name].line} already', _RENAME))
        else:
            found[read.name] = read
    return tuple(found.values()), tuple(flaws)


_RENAME = "give each policy a name of its own"


def split(text: str) -> Iterator[tuple[int, str]]:
    """The policies of a file, semicolons included, each with the number of the line where it begins."""
    start = at = 0
    for piece in _PIECES.finditer(text):
        at = piece.end()
        if piece.group() == ";":
            yield from _piece(text, start, at)
            start = at
    yield from _piece(text, start, at)


def _piece(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    blank = _BLANK.match(text, start, end)
    begin = blank.end() if blank else start
    if begin < end:
        yield text.count("\n", 0, begin) + 1, text[begin:end]


def _read(line: int, piece: str, file: str, schema: Schema) -> Policy | list[Flaw]:
    """The policy, or what is wrong with it."""
    if not piece.endswith(";"):
        return [Flaw(line, "this policy has no end", "end it with a semicolon")]
    try:
        document = json.loads(cedarpy.policies_to_json_str(piece))
    except ValueError as error:
        return [Flaw(line, f"this policy cannot be read: {error}", _RIGHT)]
    static = list(document["staticPolicies"].values())
    if len(static) != 1:
        return [Flaw(line, "a template permits nothing by itself", "write names instead of ?principal and ?resource")]
    name = static[0].get("annotations", {}).get("id") or ""
    if not _NAME.fullmatch(name):
        return [Flaw(line, "this policy has no name", 'write @id("some-name") before it, with A-Z a-z 0-9 . _ / -')]
    flaws = list(_invalid(line, name, piece, schema))
    return flaws or Policy(name, file, line, piece, static[0])


def _invalid(line: int, name: str, piece: str, schema: Schema) -> Iterator[Flaw]:
    """What the schema has against the policy."""
    errors = sorted(_ABOUT.sub("", each.error) for each in cedarpy.validate_policies(piece, schema.handle).errors)
    # Cedar says the same once for each action that the policy is about, and what follows from it; one line is enough.
    found = {_EACH.sub("", each): each for each in reversed(errors)}
    for error in [each for each in found.values() if _FOLLOWS not in each] or found.values():
        yield Flaw(line, f"policy {name}: {error}", _hint(error, schema))


def _hint(error: str, schema: Schema) -> str:
    """The word of the schema that was probably meant."""
    for word in (first or second for first, second in _QUOTED.findall(error)):
        close = get_close_matches(word, schema.words, 1)
        if close and close[0] != word:
            return f"did you mean {close[0]}?"
    return _RIGHT
