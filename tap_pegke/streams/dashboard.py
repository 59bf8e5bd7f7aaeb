"""The one call whose response the vendor documents, by using it on its own status page. It needs no credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.reading.pages import Page
from tap_pegke.settings import PUBLIC
from tap_pegke.streams.base import PegkeStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_core.streams.base import CoreStream

__all__ = ["STREAMS", "SystemStatus"]


class SystemStatus(PegkeStream):
    """State of the vendor's own components: one row each, out of a map from name to text."""

    name = "system_status"
    endpoint = "status"
    primary_keys = ("_component",)
    account = PUBLIC

    @override
    def page(self, body: bytes) -> Page:
        answer = codec.members(body)
        components: dict[str, Any] = codec.members(self.member(answer, "sstatus"))
        del answer[self.names["sstatus"]]
        return Page(list(_rows(components, answer)))


def _rows(components: dict[str, Any], shared: dict[str, Any]) -> Iterator[msgspec.Raw]:
    for component, status in components.items():
        yield msgspec.Raw(codec.encode({"_component": component, "_status": status, **shared}))


STREAMS: Final[Sequence[type[CoreStream]]] = (SystemStatus,)
