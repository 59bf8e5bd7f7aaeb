"""What a connection is: its callbacks, and the calls that only the standard has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_core.errors import MissingCallError
from tap_core.records.masks import Masked, MaskedUrl
from tap_peek.streams.base import CONNECTION, NOTHING, PeekStream, one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_core.reading.fetch import Slice
    from tap_core.reading.pages import Page
    from tap_core.records.field import Field

__all__ = ["Capabilities", "OfTheStandard", "Supplier", "Webhooks"]


class Webhooks(PeekStream):
    """Callbacks registered with a key. Peek lists the call; the OCTO standard does not have it."""

    name = "webhooks"
    fields: ClassVar[Sequence[Field]] = (CONNECTION, MaskedUrl("url"), Masked("headers"))

    @override
    async def ask(self, part: Slice, token: Any) -> Page:
        try:
            return await super().ask(part, token)
        except MissingCallError:
            if self.config["endpoints"].get(self.name):
                raise
            if self.complete:
                self.complete = False
                self.meter.count("call not offered")
            self.session.warn_once(
                f"{self.name}: this server has no GET {self.path}, which is not in the OCTO standard: nothing is read"
                f"{self.if_missing.format(name=self.name)}"
            )
            return NOTHING


class OfTheStandard(PeekStream):
    """A call of the standard that Peek does not list: some servers have it."""

    selected_by_default = False
    if_refused = (
        "; this call is only in the standard, and this server may not have it: take the stream out of enable_streams"
    )
    if_missing = if_refused


class Supplier(OfTheStandard):
    """The operator behind a key."""

    name = "supplier"

    @override
    def page(self, body: bytes) -> Page:
        return one(body)


class Capabilities(OfTheStandard):
    """Capabilities of a connection."""

    name = "capabilities"
