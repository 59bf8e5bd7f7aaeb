"""What all streams of Peek have in common: a call for each connection, and what one refusal costs."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from singer_sdk import SchemaDirectory
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, AuthError, MissingCallError
from tap_core.reading.fetch import Slice
from tap_core.reading.pages import Page
from tap_core.records.fields import FromContext
from tap_core.streams.base import CoreStream
from tap_peek.client import DIALECT, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from singer_sdk import Tap

    from tap_core.http.client import ApiClient
    from tap_core.reading.fetch import Reading
    from tap_core.records.field import Field
    from tap_core.session.session import Session
    from tap_peek.settings import PeekSettings

__all__ = ["CONNECTION", "NOTHING", "SCHEMAS", "PeekStream", "one"]

CONNECTION = FromContext(("_connection",))
SCHEMAS = SchemaDirectory(files("tap_peek") / "schemas")
NOTHING: Final = Page(())


class PeekStream(CoreStream):
    """A call of the API, made once for each connection. Responses are bare lists and contain everything.

    Attributes:
        if_refused: What to do where the API does not accept the call.
        if_missing: What to do where the API does not have the call.
    """

    schemas = SCHEMAS
    dialect = DIALECT
    primary_keys: Sequence[str] = ("_connection", "id")
    fields: ClassVar[Sequence[Field]] = (CONNECTION,)
    if_refused: ClassVar[str] = ""
    if_missing: ClassVar[str] = ", or set endpoints.{name} if this server has another path"

    settings: PeekSettings

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self.path = self.settings.endpoints.get(self.name, "")
        self.unread: Counter[tuple[str, ...]] = Counter()
        """The calls of each subject that were made and have not brought all there is: of 0, it was read whole."""

    @cached_property
    @override
    def http_headers(self) -> Mapping[str, str]:
        sent = {} if self.settings.in_parameter else {"Octo-Capabilities": ", ".join(self.settings.capability_ids)}
        return {**super().http_headers, **sent}

    @override
    def params(self, part: Slice, token: Any) -> Mapping[str, Any]:
        if not self.settings.in_parameter:
            return {}
        return {self.settings.parameters["capabilities"]: ",".join(self.settings.capability_ids)}

    @override
    def slices(self) -> Iterable[Slice]:
        for name in self.settings.keys:
            yield Slice({"_connection": name})

    @override
    def client(self, part: Slice) -> ApiClient:
        return self.session.clients[part.partition["_connection"]]

    @override
    def begun(self) -> Reading | None:
        """Not before each connection has been tried: a key that is refused must not be sent again in the meantime."""
        return super().begun() if all(client.tried for client in self.session.clients.values()) else None

    @override
    async def load(self, part: Slice, token: Any) -> Page:
        name, subject = self.part_name(part), self.subject(part)
        self.unread[subject] += 1
        if self.losses.hopeless(name):
            return NOTHING
        try:
            page = await self.ask(part, token)
        except AuthError as error:
            if all(client.refused for client in self.session.clients.values()):
                raise
            self.losses.lose(PeekStream.part_name(self, part), error)
        except MissingCallError:
            raise
        except ApiError as error:
            if not self.has_parts:
                raise
            self.losses.lose(name, error)
        else:
            self.losses.read()
            self.unread[subject] -= self.is_whole(part, page)
            return page
        return NOTHING

    def subject(self, part: Slice) -> tuple[str, ...]:
        """What a slice is about, whenever it is: the connection."""
        return (part.partition["_connection"],)

    def has_read(self, *subject: str) -> bool:
        """Whether everything about a subject was read."""
        return subject in self.unread and not self.unread[subject]

    def is_whole(self, _part: Slice, page: Page) -> bool:
        """Whether a page holds all there is of its slice."""
        return page is not NOTHING

    async def ask(self, part: Slice, token: Any) -> Page:
        """One page, from one call.

        Raises:
            AuthError: The API refuses the key of this connection.
            ApiError: The API does not give the page.
        """
        try:
            return await super().load(part, token)
        except RefusedError as error:
            raise RefusedError(f"{error}{self.if_refused}", code=error.code) from None
        except MissingCallError as error:
            raise MissingCallError(f"{error}{self.if_missing.format(name=self.name)}") from None

    @property
    def has_parts(self) -> bool:
        """Whether the stream takes more than one call: then one that the API refuses does not fail the others."""
        return len(self.settings.keys) > 1

    def part_name(self, part: Slice) -> str:
        """What is lost if the call for a slice fails, in words."""
        return f"connection {part.partition['_connection']}"


def one(body: bytes) -> Page:
    """The page of a response that is a single object.

    Raises:
        msgspec.DecodeError: It is not an object.
    """
    codec.members(body)
    return Page([msgspec.Raw(body)])
