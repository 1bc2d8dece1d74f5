"""Good inputs changed in places: strategies that stay close to a grammar, where its parser is deepest."""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

Text = TypeVar("Text", str, bytes)

ODD = (
    "", "\0", "\r\n", "\n", "\r", " ", "\t", '"', "'", "\\", "%", "%00", "%ff", "%zz", "+", ";", ",", ":", "=", "==",
    "&", "?", "#", "/", "//", "..", "@", "@@", "<", ">", "(", ")", "*", "*0*=", "=?utf-8?B?", "?=", "[", "]", "{",
    "}", "-", "--", "_", "~", "0", "-1", "00", "1e400", "9" * 30, "\xad", "é", "ß", "İ", "K", "\u202e", "\u200d",
    "\ufeff", "\U0001f600", "xn--", "xn--a", "localhost", "127.0.0.1", "[::1]", "null", "true", "NaN", "A", "a" * 300,
)  # fmt: skip
"""What separates, ends, escapes or imitates in some grammar."""

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(ODD),
    st.sampled_from((-1, 2**31, 2**53, 2**63, 2**64, 10**400, 1e308, float("nan"), float("inf"), "x" * 5000)),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=8,
)
"""Whatever JSON can hold, and a little more."""


def texts(samples: Sequence[str]) -> st.SearchStrategy[str]:
    """A sample, edited a few times; seldom anything at all."""
    edited = st.builds(_edited, st.sampled_from(samples), st.lists(_edits(st.sampled_from(ODD)), max_size=4))
    return st.one_of(edited, edited, edited, st.text(max_size=60))


def octets(samples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """The same for bytes."""
    odd = st.one_of(st.sampled_from([each.encode("utf-8", "surrogatepass") for each in ODD]), st.binary(max_size=8))
    edited = st.builds(_edited, st.sampled_from(samples), st.lists(_edits(odd), max_size=4))
    return st.one_of(edited, edited, edited, st.binary(max_size=200))


def _edits(odd: st.SearchStrategy[Text]) -> st.SearchStrategy[tuple[float, float, int, Text]]:
    """Where an edit begins, how far it reaches, how often what was there stays, and what is put there."""
    return st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from((0, 0, 1, 1, 2, 50)), odd)


def _edited(sample: Text, edits: Sequence[tuple[float, float, int, Text]]) -> Text:
    for where, reach, times, odd in edits:
        start = round(where * len(sample))
        end = min(len(sample), start + round(reach**3 * 20))
        sample = sample[:start] + sample[start:end] * times + odd + sample[end:]
    return sample


def documents(samples: Sequence[Any]) -> st.SearchStrategy[Any]:
    """A sample document with members changed, dropped, doubled or added, at any depth."""
    edits = st.lists(
        st.tuples(st.integers(0, 10**6), st.sampled_from(("set", "drop", "wrap", "text")), VALUES), max_size=3
    )
    return st.builds(_redone, st.sampled_from(samples), edits)


def _redone(sample: Any, edits: Sequence[tuple[int, str, Any]]) -> Any:
    document = copy.deepcopy(sample)
    for number, what, value in edits:
        places = list(_places(document))
        if not places:
            return document
        holder, name = places[number % len(places)]
        _change(holder, name, what, value)
    return document


def _places(document: Any) -> Any:
    pairs = document.items() if isinstance(document, Mapping) else enumerate(document)
    for name, value in list(pairs):
        yield document, name
        if isinstance(value, dict | list):
            yield from _places(value)


def _change(holder: Any, name: Any, what: str, value: Any) -> None:
    if what == "drop":
        del holder[name]
    elif what == "wrap":
        holder[name] = [holder[name], value]
    elif what == "text" and isinstance(holder[name], str) and isinstance(value, str):
        holder[name] = holder[name] + value
    else:
        holder[name] = value


def json_texts(samples: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """Documents as text, spoiled as documents and as text."""
    plain = [json.dumps(each).encode() for each in samples]
    return st.one_of(octets(plain), VALUES.map(lambda value: json.dumps(value).encode()))
