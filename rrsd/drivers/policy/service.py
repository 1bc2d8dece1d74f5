"""The engine as the settings want it: the policies that come with rrsd, and the operator's file."""

import os
from importlib.resources import files

import cedarpy

from rrsd.core.refusals import Forbidden, Malformed
from rrsd.drivers.policy.engine import Engine, Policies, compile_policies
from rrsd.drivers.policy.settings import Settings
from rrsd.drivers.policy.texts import Flaw, Policy, Schema, parse_policies

DEFAULTS = "default.cedar"
MOST_BYTES = 1 << 20
"""The largest policy file."""


def read_schema() -> Schema:
    """The schema that comes with rrsd."""
    text = _shipped("schema.cedarschema")
    return Schema(text, cedarpy.Schema.from_str(text))


def build_engine(settings: Settings) -> Engine:
    """The engine that the settings describe.

    Raises:
        Malformed: the operator's file cannot be read, or something in it is wrong; the detail has the first error.
        Forbidden: others may write to it.
    """
    schema = read_schema()
    return Engine(schema, read_policies(settings, schema))


def read_policies(settings: Settings, schema: Schema) -> Policies:
    """All policies that are to hold.

    Raises:
        Malformed, Forbidden: as `build_engine`.
    """
    policies, flaws = find_policies(settings, schema)
    if flaws:
        more = f" (and {len(flaws) - 1} more: rrsctl check lists them)" if len(flaws) > 1 else ""
        raise Malformed(f"{settings.path} {flaws[0]}{more}")
    return compile_policies(policies)


def find_policies(settings: Settings, schema: Schema) -> tuple[tuple[Policy, ...], tuple[Flaw, ...]]:
    """All policies that are to hold, and every error in the operator's file.

    Raises:
        Malformed: it cannot be read.
        Forbidden: others may write to it.
    """
    shipped = parse_policies(_shipped(DEFAULTS), DEFAULTS, schema)[0] if settings.defaults else ()
    if settings.path is None:
        return shipped, ()
    policies, flaws = parse_policies(read_own(settings.path), settings.path, schema)
    taken = {policy.name for policy in shipped}
    twice = [
        Flaw(policy.line, f'@id("{policy.name}") is the name of a policy that comes with rrsd', "give it another")
        for policy in policies
        if policy.name in taken
    ]
    return (*shipped, *policies), tuple(sorted((*flaws, *twice), key=lambda flaw: flaw.line))


def read_own(path: str) -> str:
    """The text of the operator's file.

    Raises:
        Malformed: it cannot be read, is too large or no UTF-8.
        Forbidden: its group or the world may write to it.
    """
    try:
        with open(path, "rb") as file:
            # The open file is asked, not the name: nobody can swap one for the other in between.
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Malformed(f"{path}: {error.strerror}; write your policies there, or leave [policy] path out") from None
    if mode & 0o022:
        raise Forbidden(f"{path}: others may write to it (mode {mode & 0o777:04o}); run: chmod go-w {path}")
    if len(data) > MOST_BYTES:
        raise Malformed(f"{path}: larger than {MOST_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed(f"{path}: not UTF-8") from None


def _shipped(name: str) -> str:
    return (files("rrsd.drivers.policy") / name).read_text(encoding="utf-8")
