"""Gateways with their services, and channels with their links: lists that are read completely."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_core.records.fields import Default
from tap_core.streams.embedded import EmbeddedStream
from tap_premiumpay.streams.base import GuessedStream, PremiumpayStream, given

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_core.reading.fetch import Slice
    from tap_core.records.field import Field

__all__ = ["ChannelLinks", "Channels", "Gateways", "Services", "yes_no"]


class Gateways(PremiumpayStream):
    """The gateways (*pasarelas*) that the client may see."""

    name = "gateways"
    primary_keys = ("pasarela_id",)
    numbers = ("pasarela_id",)
    use_cache = True

    @override
    def payload(self, part: Slice, token: Any) -> Any:
        return {"include_services": "yes"}

    @cached_property
    def ids(self) -> Sequence[int]:
        """The gateways' ids, each once."""
        return list(self.offers)

    @cached_property
    def offers(self) -> Mapping[int, frozenset[str] | None]:
        """The ids of each gateway's services, by the gateways' ids; None where the API does not say."""
        renamed = self.settings.endpoints["services"].rename.items()
        names = ("service_id", *(name for name, column in renamed if column == "service_id"))
        return {row["pasarela_id"]: _ids(row.get("services"), names) for row, _ in self.shaped_rows()}

    def may_have(self, gateway: int, service: int) -> bool:
        """Whether a gateway has a service, as far as the API says."""
        known = self.offers.get(gateway)
        return known is None or str(service) in known


def _ids(rows: Any, names: Sequence[str]) -> frozenset[str] | None:
    """The ids of rows, whatever the API calls them; None if one has none, or there are no rows."""
    if not isinstance(rows, list):
        return None
    found = [
        next((row[name] for name in names if row.get(name) is not None), None) if isinstance(row, dict) else None
        for row in rows
    ]
    return None if None in found else frozenset(map(str, found))


class Services(GuessedStream, EmbeddedStream):
    """What is sold through each gateway; it comes with the gateways."""

    name = "services"
    embedded_in = Gateways
    rows_at = "services"
    from_parent: ClassVar[Mapping[str, str]] = {"pasarela_id": "pasarela_id"}
    primary_keys = ("pasarela_id", "service_id")
    numbers = ("service_id",)


class Channels(PremiumpayStream):
    """Channels, filtered and trimmed as the settings say."""

    name = "channels"
    primary_keys = ("channel_id",)
    numbers = ("channel_id",)
    use_cache = True

    @override
    def narrowed_to(self) -> Mapping[str, Any] | None:
        """The settings that leave out channels or links, or may: it is not documented what consolidated links are."""
        names = ("link_names", "exclude_link_names", "consolidate_links")
        return {name: self.config[name] for name in names if self.config.get(name)} or None

    @override
    def payload(self, part: Slice, token: Any) -> Any:
        flags = {name: yes_no(self.config.get(name)) for name in ("exclude_link_names", "consolidate_links")}
        lists = {name: self.config.get(name) or None for name in ("link_names", "channel_fields", "link_fields")}
        return given({"include_links": "yes", **lists, **flags})

    @cached_property
    def ids(self) -> Sequence[int]:
        """The channels' ids, each once."""
        return list(dict.fromkeys(row["channel_id"] for row, _ in self.shaped_rows()))

    @cached_property
    def links(self) -> Sequence[Mapping[str, Any]]:
        """The channels' links, each once, without those that have no address to ask for."""
        renamed = self.settings.endpoints["channel_links"].rename.items()
        names = ["invitation_link", *(name for name, column in renamed if column == "invitation_link")]
        links: dict[tuple[int, str], Mapping[str, Any]] = {}
        without = 0
        for row, _ in self.shaped_rows():
            for link in filter(None, row.get("links") or ()):
                address = next((link[name] for name in names if link.get(name)), None)
                if address is None:
                    without += 1
                else:
                    links[row["channel_id"], address] = {"channel_id": row["channel_id"], "invitation_link": address}
        if without or not links:
            self.session.warn_once(
                f"per_link: {len(links)} links can be asked for; {without} have no address and cannot"
            )
        return list(links.values())


class ChannelLinks(GuessedStream, EmbeddedStream):
    """The invitation links of the channels; they come with the channels."""

    name = "channel_links"
    embedded_in = Channels
    rows_at = "links"
    from_parent: ClassVar[Mapping[str, str]] = {"channel_id": "channel_id"}
    primary_keys = ("channel_id", "invitation_link")
    fields: ClassVar[Sequence[Field]] = (Default("invitation_link", column="name"),)


def yes_no(flag: bool | None) -> str | None:  # noqa: FBT001  it translates a flag
    """The word for a flag that is set; None leaves it to the API, whose default is no (documented)."""
    return "yes" if flag else None
