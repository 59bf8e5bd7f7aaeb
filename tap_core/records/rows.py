"""The rows of a response, decoded into their compiled types while the response is taken apart.

Whoever looks at a row, such as a pager, sees its JSON as it came; the fast path takes the decoded rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, overload

import msgspec
from msgspec import Raw
from typing_extensions import override

from tap_core import codec
from tap_core.errors import WrongKindError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["RowReader", "TypedRows"]


class TypedRows(Sequence[Raw]):
    """The JSON of rows, cut out of their response only when it is asked for, and the same rows decoded.

    Args:
        decoded: The rows as instances of a compiled type.
        cut: Gives the JSON of each.
        compared: Gives the same for comparisons alone; it need not be fit for anything else. By default, `cut`.
        text: The JSON array that they are, where that was cut out of the response.
    """

    def __init__(
        self,
        decoded: list[Any],
        cut: Callable[[], Sequence[Raw]],
        compared: Callable[[], Sequence[Raw]] | None = None,
        text: codec.Json | None = None,
    ) -> None:
        self.text = text
        self._decoded: list[Any] | None = decoded
        self._length = len(decoded)
        self._cut = cut
        self._compared = compared or cut
        self._raw: Sequence[Raw] | None = None

    @override
    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Raw: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Raw]: ...

    @override
    def __getitem__(self, index: int | slice) -> Raw | Sequence[Raw]:
        if isinstance(index, slice) and self._decoded is not None:
            return TypedRows(self._decoded[index], lambda: self._json()[index], lambda: self._compared()[index])
        return self._json()[index]

    @override
    def __iter__(self) -> Iterator[Raw]:
        return iter(self._json())

    def only(self, wanted: Sequence[bool]) -> Sequence[Raw]:
        """Some of the rows, decoded as before.

        Args:
            wanted: Of each row, whether it is one of them.
        """
        if self._decoded is None:
            return list(compress(self._json(), wanted))
        return TypedRows(list(compress(self._decoded, wanted)), lambda: list(compress(self._json(), wanted)))

    def _json(self) -> Sequence[Raw]:
        if self._raw is None:
            self._raw = self._cut()
        return self._raw

    def texts(self) -> list[bytes]:
        """The JSON of each row, to compare it with that of others."""
        return list(map(bytes, self._compared() if self._raw is None else self._raw))

    def decoded(self, kind: type) -> Sequence[Any] | None:
        """The decoded rows, if they are of this type and nobody has taken them."""
        return self._decoded if self._decoded and type(self._decoded[0]) is kind else None

    def take(self, kind: type) -> list[Any] | None:
        """The decoded rows, for whoever changes them; nobody else gets them then."""
        taken = self._decoded
        if not taken or type(taken[0]) is not kind:
            return None
        self._decoded = None
        return taken


class RowReader:
    """Takes responses apart.

    Args:
        path: Where the rows are, member by member; empty where the response is the list.
        kind: The compiled type of a row, or None where there is none.
        beside: What else of the response is read: the types of its members, by name.
        is_closed: Whether nothing that is read of a response is of an open type.
    """

    def __init__(self, path: Sequence[str], kind: type | None, beside: Mapping[str, Any], *, is_closed: bool) -> None:
        self._path = path
        self._is_closed = is_closed
        self._decode = None if kind is None else _decoder(path, kind, beside)
        self._decode_raw = _decoder(path, Raw, beside)
        self._decode_list = None if kind is None else _decoder((), kind, {})

    def rows(self, text: codec.Json) -> Sequence[Raw]:
        """The rows of a list that was cut out of a response.

        Args:
            text: A JSON array without line breaks.

        Raises:
            msgspec.DecodeError: It is no array.
        """
        if self._decode_list is None:
            return codec.rows(text)
        try:
            return TypedRows(self._decode_list(text), lambda: codec.rows(text), text=text)
        except codec.NOT_JSON:
            return codec.rows(text)

    def quick(self, body: bytes) -> tuple[Sequence[Raw], Any] | None:
        """What `read` gives, for a response in which every value is decoded; None for any other.

        Decoding is a check in itself then, of how deep values are nested, too. Line breaks are lost with it.

        Args:
            body: A response as it came.
        """
        if not self._is_closed or self._decode is None:
            return None
        try:
            if not body.isascii():
                codec.check_text(body)
            found = self._decode(body)
        except (*codec.NOT_JSON, RecursionError):
            return None
        cuts = (lambda: self._cut(codec.one_line(body))), (lambda: self._cut(codec.unbroken(body)))
        return TypedRows(self._inside(found), *cuts), found

    def _cut(self, body: bytes) -> Sequence[Raw]:
        cut: Sequence[Raw] = self._inside(self._decode_raw(body))
        return cut

    def read(self, body: bytes) -> tuple[Sequence[Raw], Any]:
        """The rows of a response, and an object with what is read beside them.

        Args:
            body: JSON in UTF-8 without line breaks.

        Raises:
            WrongKindError: There is no list.
            msgspec.DecodeError: It is not JSON, or not of the expected kind.
        """
        if self._decode is not None:
            try:
                found = self._decode(body)
            except codec.NOT_JSON:
                pass
            else:
                return TypedRows(self._inside(found), lambda: self._cut(body)), found
        try:
            found = self._decode_raw(body)
        except msgspec.ValidationError:
            self._explain(body)
            raise
        return self._inside(found), found

    def _inside(self, found: Any) -> Any:
        for _ in self._path:
            found = found.inside
        return found

    def _explain(self, body: bytes) -> None:
        found: Any = codec.envelope(body)
        for name in self._path:
            if not isinstance(found, dict) or name not in found:
                raise WrongKindError(f"the response has no {name!r}")
            found = codec.envelope(found[name])
        if not isinstance(found, list):
            raise WrongKindError("the response has an object where a list is expected")


def _decoder(path: Sequence[str], kind: Any, beside: Mapping[str, Any]) -> Callable[[codec.Json], Any]:
    found: Any = list[kind]
    for depth, name in reversed(list(enumerate(path))):
        members: list[Any] = [("inside", found)]
        if not depth:
            members += [(other, each | None, None) for other, each in beside.items()]
        found = msgspec.defstruct("Envelope", members, rename={"inside": name}, gc=False)
    decode: Callable[[codec.Json], Any] = msgspec.json.Decoder(found).decode
    return decode
