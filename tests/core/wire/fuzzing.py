"""What the fuzzer knows of a parser, and how an entry is made from good samples."""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import field, frozen
from hypothesis import strategies as st

from tests.core.wire import mutations
from tests.core.wire.worst import DOCUMENT, HEAD, long_texts


@frozen
class Parser:
    """One parser: `call` gives it one input, `inputs` are near good ones, `samples` are good, `worst` makes long ones,
    when it is asked: together they are larger than a machine's memory should be filled with.

    `again` is an input that says what the result says: parsed, it has to come to the same.
    """

    function: Callable[..., object]
    samples: Sequence[Any]
    inputs: st.SearchStrategy[Any] = field(repr=False)
    call: Callable[[Any], Any]
    worst: Callable[[], Sequence[Any]] = field(default=tuple, repr=False)
    again: Callable[[Any], Any] | None = None

    @property
    def name(self) -> str:
        """Module and function."""
        return f"{self.function.__module__.rpartition('.')[2]}.{self.function.__name__}"


def text(function: Any, *samples: str, most: int = HEAD, **more: Any) -> Parser:
    """A parser of one text of at most `most` characters, tried with each character of the samples without end."""
    worst = more.pop("worst", tuple)
    return Parser(
        function,
        samples,
        mutations.texts(samples),
        more.pop("call", function),
        lambda: [*long_texts(samples, most), *worst()],
        more.pop("again", None),
    )


def octets(function: Any, *samples: bytes, most: int = DOCUMENT, **more: Any) -> Parser:
    """The same for bytes."""
    plain = [sample.decode("latin-1") for sample in samples]
    worst = more.pop("worst", tuple)
    return Parser(
        function,
        samples,
        mutations.octets(samples),
        more.pop("call", function),
        lambda: [*(each.encode("latin-1") for each in long_texts(plain, most)), *worst()],
        more.pop("again", None),
    )


def document(function: Any, *samples: Any, **more: Any) -> Parser:
    """A parser of JSON that was read already, or of something as deep."""
    return Parser(
        function,
        samples,
        mutations.documents(samples),
        more.pop("call", function),
        more.pop("worst", tuple),
        more.pop("again", None),
    )
