"""Sections become settings objects, every error reported at once.

A room's settings class says everything: field names are keys, types say what may be written, `key(...)` gives default
and reason. A field whose type is a tuple of another such class is filled from repeated sections: `clients` of `[sts]`
from each `[sts.client.NAME]`, where NAME goes to the one field of that class that is not made by `key(...)`.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import attrs
from attrs import Factory, define, frozen

from rrsd.config.convert import NotOne, convert, right_for
from rrsd.config.ini import Entry, Misconfigured, Mistake, Section, parse_ini
from rrsd.core.refusals import Malformed
from rrsd.core.values.settings import EXAMPLE, HELP

T = TypeVar("T")

_SECRET = ("secret", "password", "token")


@frozen
class Key:
    """One INI key: the field behind it, its type, and what is said about it."""

    name: str
    kind: Any
    default: Any
    help: str
    example: str

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is attrs.NOTHING


@frozen
class Repeated:
    """A field that repeated sections fill: `[section.prefix.NAME]`, each one a `model`, NAME in its field `named`."""

    field: str
    prefix: str
    model: type
    named: str
    named_kind: Any


def keys_of(model: type) -> tuple[Key, ...]:
    """The INI keys of a settings class, in order."""
    hints = get_type_hints(model)
    return tuple(
        Key(field.name, hints[field.name], _default(field), field.metadata[HELP], field.metadata.get(EXAMPLE, ""))
        for field in attrs.fields(model)
        if HELP in field.metadata and _model_in(hints[field.name]) is None
    )


def _default(field: Any) -> Any:
    """What the field is when nobody sets it; factories that look at the other fields are not used in settings."""
    return field.default.factory() if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]


def repeated_of(model: type) -> tuple[Repeated, ...]:
    """The fields of a settings class that repeated sections fill."""
    hints = get_type_hints(model)
    found = []
    for field in attrs.fields(model):
        inner = _model_in(hints[field.name])
        if inner is not None:
            named = next(one.name for one in attrs.fields(inner) if HELP not in one.metadata)
            kind = get_type_hints(inner)[named]
            found.append(Repeated(field.name, field.name.removesuffix("s"), inner, named, kind))
    return tuple(found)


def _model_in(kind: Any) -> type | None:
    if get_origin(kind) is tuple and attrs.has(get_args(kind)[0]) and _has_keys(get_args(kind)[0]):
        return get_args(kind)[0]  # type: ignore[no-any-return]
    return None


def _has_keys(model: type) -> bool:
    return any(HELP in field.metadata for field in attrs.fields(model))


def load(sections: Iterable[Section], whole: type[T]) -> tuple[T | None, tuple[Mistake, ...]]:
    """A `whole`, whose fields are settings classes named as their sections, or None and every mistake."""
    loading = _Loading({section.name: section for section in sections})
    models = {field.name: get_type_hints(whole)[field.name] for field in attrs.fields(whole)}  # type: ignore[arg-type]
    loading.require_known(models)
    rooms = {name: loading.room(name, model) for name, model in models.items()}
    mistakes = tuple(sorted(loading.mistakes, key=lambda mistake: mistake.line or len(loading.sections) + 1_000_000))
    return (None if mistakes else whole(**rooms)), mistakes


def parse_whole(text: str, whole: type[T], contradictions: Callable[[T], Iterable[Mistake]]) -> T:
    """The settings that the text of an INI file writes, when none of them contradicts another one.

    Raises:
        Misconfigured: there are errors; it holds all of them, in the order of their lines.
    """
    sections, unreadable = parse_ini(text)
    settings, mistakes = load(sections, whole)
    errors = (*unreadable, *mistakes)
    if settings is not None:
        errors = (*errors, *contradictions(settings))
    if settings is None or errors:
        raise Misconfigured(tuple(sorted(errors, key=lambda error: error.line or 1_000_000)))
    return settings


@define(eq=False)
class _Loading:
    """The sections that are there, and the mistakes found so far."""

    sections: Mapping[str, Section]
    mistakes: list[Mistake] = Factory(list)

    def require_known(self, models: Mapping[str, type]) -> None:
        """Find sections that belong to no room."""
        prefixes = [f"{name}.{one.prefix}." for name, model in models.items() for one in repeated_of(model)]
        shown = [*models, *(f"{prefix}NAME" for prefix in prefixes)]
        for section in self.sections.values():
            if section.name in models or any(_names_one(section.name, prefix) for prefix in prefixes):
                continue
            right = _did_you_mean(section.name, list(models), f"sections are {', '.join(shown)}", "[{}]")
            self.mistakes.append(Mistake(section.name, "", section.line, "there is no such section", right))

    def room(self, name: str, model: type) -> Any:
        """The settings of one room; a section that is missing is an empty one."""
        section = self.sections.get(name, Section(name, 0, {}))
        return self._fill(section, model, self._repeated(name, model))

    def _repeated(self, name: str, model: type) -> dict[str, Any]:
        return {one.field: tuple(self._members(name, one)) for one in repeated_of(model)}

    def _members(self, name: str, repeated: Repeated) -> Iterable[Any]:
        prefix = f"{name}.{repeated.prefix}."
        for section in self.sections.values():
            if not _names_one(section.name, prefix):
                continue
            try:
                own = convert(repeated.named_kind, section.name.removeprefix(prefix))
            except NotOne as no:
                right = f"after {prefix} write {no}"
                self.mistakes.append(Mistake(section.name, "", section.line, "this section is misnamed", right))
                continue
            yield self._fill(section, repeated.model, {repeated.named: own})

    def _fill(self, section: Section, model: type, given: dict[str, Any]) -> Any:
        keys = {one.name: one for one in keys_of(model)}
        before = len(self.mistakes)
        self._require_keys(section, keys)
        values = given | {name: self._value(section, one) for name, one in keys.items()}
        if len(self.mistakes) > before:
            return None
        try:
            return model(**values)
        except (ValueError, Malformed) as error:
            self.mistakes.append(Mistake(section.name, "", section.line, "these values do not fit", _words(error)))
            return None

    def _require_keys(self, section: Section, keys: Mapping[str, Key]) -> None:
        for name, entry in section.entries.items():
            if name not in keys:
                right = _did_you_mean(name, list(keys), f"keys of [{section.name}] are {', '.join(keys)}", "{}")
                self.mistakes.append(Mistake(section.name, name, entry.line, "there is no such key", right))

    def _value(self, section: Section, one: Key) -> Any:
        entry = section.entries.get(one.name)
        if entry is not None:
            return self._converted(section, one, entry)
        if one.required:
            right = f"write {right_for(one.kind)}" + (f": {one.name} = {one.example}" if one.example else "")
            self.mistakes.append(Mistake(section.name, one.name, section.line, "it is missing", right))
            return None
        return one.default

    def _converted(self, section: Section, one: Key, entry: Entry) -> Any:
        try:
            return convert(one.kind, entry.text)
        except NotOne:
            secret = any(word in one.name for word in _SECRET)
            wrong = "this value cannot be read" if secret else f"{entry.text!r} cannot be read"
            mistake = Mistake(section.name, one.name, entry.line, wrong, f"write {right_for(one.kind)}")
            self.mistakes.append(mistake)
            return None


def _names_one(section: str, prefix: str) -> bool:
    return section.startswith(prefix) and len(section) > len(prefix)


def _did_you_mean(word: str, known: list[str], otherwise: str, shape: str) -> str:
    close = get_close_matches(word.lower(), known, 1)
    return f"did you mean {shape.format(close[0])}?" if close else otherwise


def _words(error: ValueError | Malformed) -> str:
    return error.detail if isinstance(error, Malformed) else str(error)
