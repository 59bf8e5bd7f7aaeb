"""What a transform of records is, and how it reaches into them.

Each transform is written once, for both record paths: it reads and writes through an `Access`, which knows what the
records are made of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from tap_core.records.policy import Policy

__all__ = ["Access", "Context", "Field", "Rows", "Transform", "all_none"]

Context = MutableMapping[str, Any]
"""What a record itself does not say: its partition, window and reading time, by column name; plus what transforms
remember of the slice, which `tap_core.records.draft.numbers` gives them."""

Rows = Sequence[Any]
Transform = Callable[[Rows, Context], None]


def all_none(values: Sequence[Any]) -> bool:
    """Whether a column has no value."""
    return values.count(None) == len(values)


class Access(ABC):
    """How to read and write a field of a record, whatever the record is made of.

    An absent field reads as None. Writing None makes a field null; `drop` makes it absent.
    """

    @abstractmethod
    def getter(self, path: str) -> Callable[[Any], Any]:
        """A function that reads the field at a dotted path; None where any part of the path is absent."""

    def column(self, path: str) -> Callable[[Rows], list[Any]]:
        """A function that reads the field at a dotted path from many records."""
        read = self.getter(path)
        return lambda rows: [read(row) for row in rows]

    @abstractmethod
    def setter(self, name: str) -> Callable[[Any, Any], None]:
        """A function that writes the top-level field ``name``."""

    @abstractmethod
    def dropper(self, name: str) -> Callable[[Any], None]:
        """A function that makes the top-level field ``name`` absent."""

    @abstractmethod
    def inside(self, name: str) -> Access:
        """How to reach into the objects of the top-level field ``name``."""

    @abstractmethod
    def leave(self, row: Any, path: str, value: Any) -> None:
        """Say that a transform does not use a value that the API sent: it is unknown then, and follows the policy.

        Args:
            row: The record.
            path: Where the value stands in it, dotted.
            value: The value.
        """

    def is_absent(self, name: str) -> Callable[[Rows], bool]:
        """A function that tells whether no record has a value in the top-level field ``name``."""
        read = self.column(name)
        return lambda rows: all_none(read(rows))

    def replacer(self, name: str) -> Callable[[Any, Any], None]:
        """A function that writes a column of ours. Another value that the API sent under its name is left."""
        read, write = self.getter(name), self.setter(name)

        def replace(row: Any, value: Any) -> None:
            before = read(row)
            if before is not None and before != value:
                self.leave(row, name, before)
            write(row, value)

        return replace

    def filler(self, name: str) -> Callable[[Rows, Iterable[Any]], None]:
        """A function that writes the top-level field ``name`` of many records."""
        write = self.setter(name)

        def fill(rows: Rows, values: Iterable[Any]) -> None:
            for row, value in zip(rows, values, strict=False):  # values may have no end
                write(row, value)

        return fill

    def converter(self, name: str, kind: type, change: Callable[[Any], Any]) -> Callable[[Rows], None]:
        """A function that changes those values of a field of many records that are of one type.

        Args:
            name: The top-level field.
            kind: The type.
            change: What becomes of such a value; None where it is of no use, and left.
        """
        read, write = self.getter(name), self.setter(name)

        def convert(rows: Rows) -> None:
            for row in rows:
                if type(before := read(row)) is kind:
                    value = change(before)
                    if value is None:
                        self.leave(row, name, before)
                    write(row, value)

        return convert

    def column_replacer(self, name: str) -> Callable[[Rows, Sequence[Any]], None]:
        """A function that does for many records what `replacer` does for one."""
        is_absent, fill, replace = self.is_absent(name), self.filler(name), self.replacer(name)

        def replace_all(rows: Rows, values: Sequence[Any]) -> None:
            if is_absent(rows):
                fill(rows, values)
                return
            for row, value in zip(rows, values, strict=True):
                replace(row, value)

        return replace_all

    @abstractmethod
    def sources_of(self, rows: Rows) -> list[bytes]:
        """The records as the API sent them, each as canonical JSON (sorted keys, no whitespace)."""


class Field(ABC):
    """One transform. What it does not use of what the API sent it hands to `Access.leave`: nothing is dropped.

    `inputs` names what the transform reads from the API beyond the stream's own columns, with the JSON schema it comes
    in; this also replaces the schema of a column that arrives in another shape than it leaves. Inputs that are not
    columns are never emitted. ``needs_source`` says that the transform reads the record as the API sent it.
    """

    needs_source: ClassVar[bool] = False

    def inputs(self) -> Mapping[str, Mapping[str, Any]]:
        """What is read beyond the columns: the JSON schema of each input by its name."""
        return {}

    def texts(self) -> Collection[str]:
        """The columns of which it does nothing but write whole numbers as text."""
        return ()

    @abstractmethod
    def bind(self, access: Access, policy: Policy) -> Transform:
        """The transform for records accessed through ``access``."""
