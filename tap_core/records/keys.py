"""Keys for records to which the API gives none: hashes that stay the same as long as the record does.

Equal records of one slice are numbered, so that two equal sales stay two rows; therefore slices must always be read
completely.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from itertools import repeat
from types import NoneType
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tap_core.codec import canonical, plain
from tap_core.records.draft import numbers
from tap_core.records.field import Access, Context, Field, Rows, Transform, all_none

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_core.records.policy import Policy

__all__ = ["OwnKey", "SurrogateKey"]


def _digests(policy: Policy, contents: Iterable[bytes]) -> list[bytes]:
    """The hashes of records; keyed where personal data is hidden, so that nobody finds them by trying all values."""
    if policy.pii == "keep":
        sha256 = hashlib.sha256
        return [sha256(content).digest() for content in contents]
    return [hmac.digest(policy.pii_key, content, "sha256") for content in contents]


def _numbered(digests: Sequence[bytes], context: Context, name: str) -> list[str]:
    """The keys of records that may be some of several equal ones, for a column."""
    counted = numbers(context, name)
    sha256 = hashlib.sha256
    return [
        sha256(digest + number.to_bytes(8, "big")).hexdigest()
        for digest, number in zip(digests, counted.number(digests), strict=True)
    ]


@dataclass(frozen=True)
class SurrogateKey(Field):
    """A key for records without one: SHA-256 over the stream, the partition and the record as the API sent it.

    Args:
        name: The column.
        stream: The stream's name, part of the hash.
        partition: Context values that are part of the hash.
        of: Columns that represent the whole record, where it has one of them, so that a record whose figures change
            keeps its key.
        window: A context value that is part of the hash, unless ``time`` distinguishes records of different windows.
        time: The column with the record's own time.
    """

    name: str
    stream: str
    partition: Sequence[str] = ()
    of: Sequence[str] = ()
    window: str | None = None
    time: str | None = None

    needs_source: ClassVar[bool] = True

    @override
    def bind(self, access: Access, policy: Policy) -> Transform:
        write = access.column_replacer(self.name)
        reads = [access.column(name) for name in self.of]
        read_times = access.column(self.time) if self.time else None

        def identities(rows: Rows) -> list[bytes]:
            """What each record is, as canonical JSON: the columns that represent it, or all of it."""
            columns = [read(rows) for read in reads]
            if all(map(all_none, columns)):
                return access.sources_of(rows)
            found = [list(map(plain, values)) for values in zip(*columns, strict=True)]
            without = [row for row, values in zip(rows, found, strict=True) if all_none(values)]
            sources = iter(access.sources_of(without) if without else ())
            return [next(sources) if all_none(values) else canonical(values) for values in found]

        def apply(rows: Rows, context: Context) -> None:
            timed = canonical([self.stream, *(context[name] for name in self.partition)])
            untimed = canonical([timed.decode(), context[self.window]]) if self.window else timed
            times = read_times(rows) if read_times else repeat(None, len(rows))
            contents = [
                (untimed if time is None else timed) + identity
                for time, identity in zip(times, identities(rows), strict=True)
            ]
            write(rows, _numbered(_digests(policy, contents), context, self.name))

        return apply


@dataclass(frozen=True)
class OwnKey(Field):
    """A record's own identifier; where it has none, a hash of what identifies it.

    Args:
        name: The column.
        identifier: The column of the identifier.
        stream: The stream's name, part of the hash.
        of: Columns that are part of the hash: those that never change.
        partition: Context values that are part of the hash.
    """

    name: str
    identifier: str
    stream: str
    of: Sequence[str]
    partition: Sequence[str] = ()

    @override
    def bind(self, access: Access, policy: Policy) -> Transform:
        read, write = access.column(self.identifier), access.replacer(self.name)
        write_all = access.column_replacer(self.name)
        parts = [access.getter(name) for name in self.of]

        def apply(rows: Rows, context: Context) -> None:
            identifiers = read(rows)
            if NoneType not in map(type, identifiers):  # comparing the values themselves takes longer
                write_all(rows, identifiers)
                return
            for row, identifier in zip(rows, identifiers, strict=True):
                if identifier is not None:
                    write(row, identifier)
                    continue
                subject = [self.stream, *(context[name] for name in self.partition)]
                content = canonical([subject, [plain(part(row)) for part in parts]])
                write(row, *_numbered(_digests(policy, [content]), context, self.name))

        return apply
