"""The one call whose answer the vendor documents, by using it on its own status page. It needs no credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from tap_core.pagers import Page
from tap_pegke.streams.base import PegkeStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_core.client import ApiClient
    from tap_core.fetch import Slice

__all__ = ["SystemStatus"]

_envelope = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class SystemStatus(PegkeStream):
    """State of the vendor's own components: one row each, out of a map from name to text."""

    name = "system_status"
    endpoint = "status"
    primary_keys = ("_component",)
    account = "public"

    @override
    def client(self, _part: Slice) -> ApiClient:
        return self.tap.public

    @override
    def page(self, body: bytes) -> Page:
        answer = _envelope(body)
        components: dict[str, Any] = _envelope(self.member(answer, "sstatus"))
        del answer[self.named("sstatus")]
        return Page(list(_rows(components, answer)))


def _rows(components: dict[str, Any], shared: dict[str, Any]) -> Iterator[msgspec.Raw]:
    for component, status in components.items():
        yield msgspec.Raw(msgspec.json.encode({"_component": component, "_status": status, **shared}))
