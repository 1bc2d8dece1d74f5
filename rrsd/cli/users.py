"""`rrsctl users`: who belongs to the domain."""

from collections.abc import Mapping
from typing import Any

import click

from rrsd.cli.output import parse_size, size, table, when
from rrsd.cli.session import Session, pass_session
from rrsd.core.refusals import Malformed, Unknown
from rrsd.core.values.addresses import Address, parse_address

LEAST_PASSWORD = 8


@click.group(short_help="The domain's own users.")
def users() -> None:
    """The domain's own users, kept by the local daemon.

    \b
      rrsctl users add alice@foo.test                        asks for the password
      pwgen 20 1 | rrsctl users add bob@foo.test --password-stdin
      rrsctl users list
      rrsctl users show alice@foo.test                       with what comes for them and what they hold
      rrsctl users set-quota alice@foo.test 50GiB            0 is no limit, "default" what holds for everybody
      rrsctl users suspend alice@foo.test                    nothing is lost; resume gives it back
    """


def typed_address(_context: click.Context, _parameter: click.Parameter, value: str) -> Address:
    """A click callback: the address that was typed.

    Raises:
        Malformed: it is none.
    """
    return read_address(value)


def read_address(text: str) -> Address:
    """The address in `text`; the refusal says what to write.

    Raises:
        Malformed: it is none.
    """
    try:
        return parse_address(text)
    except Malformed as refusal:
        raise Malformed(f"{text!r} is no address ({refusal.detail}): write local@domain") from None


_ADDRESS = click.argument("address", callback=typed_address)
_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")


@users.command("list")
@pass_session
def list_users(session: Session) -> None:
    """Every user."""
    document = session.local().users()
    rows = [
        (user.get("address"), _state(user), when(user.get("created")), size(user.get("held") or 0), _quota(user))
        for user in document.get("users", [])
    ]
    none = "nobody yet: add a user with `rrsctl users add ADDRESS`"
    session.console.rows(document, ("ADDRESS", "STATE", "CREATED (UTC)", "HOLDS", "QUOTA"), rows, none)


def _state(user: Mapping[str, Any]) -> str:
    return "suspended" if user.get("suspended") else "active"


def _quota(user: Mapping[str, Any]) -> str:
    """What a user may hold, and whose word that is."""
    said = size(user["limit"]) if user.get("limit") else "none"
    return said if user.get("quota") is None else f"{said} (own)"


@users.command()
@_ADDRESS
@pass_session
def show(session: Session, address: Address) -> None:
    """One user: since when, what they hold of what came for them, and what they may.

    \b
    What counts is attachments: each resource once, however many messages name it, and those that are being pulled with
    their whole size. A pull that does not fit waits and is not lost: `rrsctl pulls list --state no_space`.
    """
    document = session.local().users()
    found = [user for user in document.get("users", []) if user.get("address", "").lower() == address.key]
    if not found:
        raise Unknown(f"{address} is no user of this domain; rrsctl users list shows who is")
    (user,) = found
    rows = (
        ("address", user.get("address")),
        ("state", _state(user)),
        ("created (UTC)", when(user.get("created"))),
        ("holds", f"{size(user.get('held') or 0)}, {size(user.get('reserved') or 0)} of it still to come"),
        ("quota", _quota(user)),
    )
    session.console.result(user, table(("WHAT", "IS"), rows))


@users.command("set-quota")
@_ADDRESS
@click.argument("quota", metavar="SIZE")
@pass_session
def set_quota(session: Session, address: Address, quota: str) -> None:
    """Say how much a user may hold of what comes for them.

    \b
    SIZE is a number of bytes (50GiB, 200M), 0 for no limit, or "default" for `[rra] quota`, which holds for everybody
    else. What is there stays, whatever the quota; what waits for room goes on within seconds when there is some.
    """
    given = None if quota == "default" else parse_size(quota)
    document = session.local().change_user(str(address), "quota", quota=given)
    words = "what holds for everybody" if given is None else size(given) if given else "no limit"
    session.console.result(document, f"the quota of {address} is {words}")


@users.command()
@_ADDRESS
@_STDIN
@pass_session
def add(session: Session, address: Address, password_stdin: bool) -> None:
    """Add a user."""
    document = session.local().add_user(str(address), read_password(session, password_stdin, is_new=True))
    session.console.result(document, f"added {address}; they log in with: rrsctl login {address}")


@users.command()
@_ADDRESS
@_STDIN
@pass_session
def password(session: Session, address: Address, password_stdin: bool) -> None:
    """Set a user's password."""
    given = read_password(session, password_stdin, is_new=True)
    session.console.result(
        session.local().change_user(str(address), "password", password=given), f"{address} has a new password"
    )


@users.command()
@_ADDRESS
@pass_session
def suspend(session: Session, address: Address) -> None:
    """Stop a user from logging in and being spoken for; nothing is removed."""
    session.console.result(session.local().change_user(str(address), "suspend"), f"{address} is suspended")


@users.command()
@_ADDRESS
@pass_session
def resume(session: Session, address: Address) -> None:
    """Undo `suspend`."""
    session.console.result(session.local().change_user(str(address), "resume"), f"{address} is active")


@users.command()
@_ADDRESS
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def remove(session: Session, address: Address, yes: bool) -> None:
    """Forget a user; their messages stay on disk."""
    if not yes:
        session.confirm(f"Forget {address}?")
    session.local().remove_user(str(address))
    session.console.result({"address": str(address)}, f"{address} is removed")


def read_password(session: Session, from_stdin: bool, is_new: bool = False) -> str:
    """A password: the first line of standard input, or asked on the terminal without showing it.

    Raises:
        Malformed: it is empty, or too short for a new one.
    """
    if from_stdin:
        given = session.input.readline().decode("utf-8", "replace").rstrip("\r\n")
    else:
        given = click.prompt("Password", hide_input=True, confirmation_prompt=is_new, err=True)
    if not given:
        raise Malformed("the password is empty: give one on standard input or on the terminal")
    if is_new and len(given) < LEAST_PASSWORD:
        raise Malformed(f"the password is too short: take {LEAST_PASSWORD} characters or more")
    return given
