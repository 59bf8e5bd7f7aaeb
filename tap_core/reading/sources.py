"""Where deliveries come from: each spool, for each account, and how far it has been read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_core import codec
from tap_core.errors import ConfigError, StateError
from tap_core.reading.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Places", "Source", "named_in", "open_sources", "open_spools", "places", "places_of"]

_IDENTITY: Final = re.compile(r"[A-Za-z0-9_\-]{1,128}", re.ASCII).fullmatch
"""What an object's identity looks like before it becomes a part of an address."""

Places = dict[str, dict[str, int]]
"""A place in each spool for each account, by the spool's id and the account."""


class Source(msgspec.Struct):
    """The deliveries of one spool for one account.

    Args:
        spool: The spool.
        account: The account.
        position: The last delivery that was read and written.
        there: The last one that was there before anything was asked of the API.
        lost: Whether what they name cannot be asked for.
    """

    spool: Spool
    account: str
    position: int
    there: int
    lost: bool = False


def open_spools(paths: Iterable[str], *, vendor: str, reader: str) -> list[Spool]:
    """The spools that the settings name.

    Args:
        paths: Their files.
        vendor: Whose deliveries are read.
        reader: Whom they are read for.

    Raises:
        ConfigError: One is not there, is something else, or is named twice.
    """
    spools: list[Spool] = []
    for number, path in enumerate(paths):
        spool = Spool(path, place=f"webhooks_spools[{number}]", vendor=vendor, reader=reader)
        if spool.id in {each.id for each in spools}:
            raise ConfigError(f"setting {spool.place!r} is a spool that is named before it")
        spools.append(spool)
    return spools


def open_sources(
    spools: Iterable[Spool], accounts: Sequence[str], known: Places, warn: Callable[[str], None]
) -> list[Source]:
    """Take hold of what is read, and tell the spools what is committed.

    Args:
        spools: The spools.
        accounts: The accounts.
        known: Up to where the state says that they were read.
        warn: Told of deliveries that are gone although they were not read.

    Raises:
        ConfigError: Another run reads them, or a spool cannot be written.
    """
    sources = []
    for spool in spools:
        for account in accounts:
            position = known.get(spool.id, {}).get(account, 0)
            spool.claim(account)
            trimmed = spool.commit(account, position)
            if 0 < position < trimmed:
                warn(
                    f"deliveries between {position} and {trimmed} of {spool.place} for {account} were removed before "
                    "they were read; what they named is read from the API's lists, as far as those reach"
                )
            sources.append(Source(spool, account, position, spool.last()))
    return sources


def places_of(remembered: Any) -> Places:
    """The places that a state holds.

    Raises:
        StateError: They are none.
    """
    try:
        return msgspec.convert(remembered or {}, Places)
    except msgspec.ValidationError:
        raise StateError("the state's positions in the spools of webhooks are not numbers; drop them") from None


def places(sources: Iterable[Source]) -> Places:
    """Up to where sources have been read, for the state."""
    found: Places = {}
    for source in sources:
        if source.position:
            found.setdefault(source.spool.id, {})[source.account] = source.position
    return found


def named_in(body: bytes, path: Sequence[str]) -> str | None:
    """The identity of the object that a delivery names; None where there is none that could be asked for.

    Args:
        body: The delivery, which may be anything.
        path: Where the identity is, member by member.
    """
    place: Any = body
    try:
        for name in path:
            place = codec.members(place).get(name, b"null")
        found = codec.decode(place)
    except (*codec.NOT_JSON, RecursionError):
        return None
    return found if isinstance(found, str) and _IDENTITY(found) else None
