"""What operators sell: products, and what is inside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tap_core.reading.fetch import Slice
from tap_core.streams.embedded import EmbeddedStream
from tap_peek.fields import SUPPORTED, UnsupportedCapabilities
from tap_peek.streams.base import CONNECTION, SCHEMAS, PeekStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from singer_sdk import Tap

    from tap_core.records.field import Context, Field
    from tap_core.session.session import Session

__all__ = ["Bookable", "Options", "ProductCapabilities", "Products", "Units"]


@dataclass(frozen=True, slots=True)
class Bookable:
    """An option of a product, and what its product says that a call or a row of it needs.

    Args:
        connection: Name of the connection.
        product: Id of the product.
        option: Id of the option; None if it has none.
        zone: Name of the product's time zone.
        currencies: The currencies that the product's prices come in.
    """

    connection: str
    product: str
    option: str | None
    zone: str | None
    currencies: frozenset[str]


class Products(PeekStream):
    """What the operator sells through a key. Read once per run, for all streams that are made from it."""

    name = "products"
    use_cache = True
    fields: ClassVar[Sequence[Field]] = (CONNECTION, UnsupportedCapabilities("_unsupported_required_capabilities"))

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self.without_option: set[tuple[str, str]] = set()
        """Connection and id of products that have no option, once `bookable` has seen them."""

    @override
    def record_context(self, part: Slice) -> Context:
        return {**part.partition, SUPPORTED: frozenset(self.settings.capability_ids)}

    def bookable(self) -> Iterator[Bookable]:
        """Everything that can be booked."""
        for product, context in self.shaped_rows():
            connection, name = context["_connection"], product["id"]
            options = product.get("options") or ()
            if not options:
                self.without_option.add((connection, name))
                self.session.warn_once(
                    f"{self.name}: product {name} of connection {connection} has no option: its availability "
                    "cannot be asked for"
                )
            currencies = frozenset(filter(None, product.get("availableCurrencies") or ()))
            for option in options:
                identity = option.get("id") if isinstance(option, dict) else None
                yield Bookable(connection, name, identity or None, product.get("timeZone"), currencies)

    async def check_key(self, connection: str) -> None:
        """Ask for the products again, to find out whether a key still works.

        Raises:
            AuthError: The API refuses it.
        """
        request = self.request(part := Slice({"_connection": connection}), 0)
        await self.client(part).fetch(request, parse=self.page, meter=self.meter, what=f"key: GET {self.path}")


class Options(EmbeddedStream):
    """Options of the products; exactly one each for now (documented)."""

    name = "options"
    schemas = SCHEMAS
    embedded_in = Products
    rows_at = "options"
    from_parent: ClassVar[Mapping[str, str]] = {"_connection": "_connection", "productId": "id"}
    primary_keys = ("_connection", "productId", "id")


class Units(EmbeddedStream):
    """Kinds of tickets of the options."""

    name = "units"
    schemas = SCHEMAS
    embedded_in = Options
    rows_at = "units"
    from_parent: ClassVar[Mapping[str, str]] = {
        "_connection": "_connection",
        "productId": "productId",
        "optionId": "id",
    }
    primary_keys = ("_connection", "productId", "optionId", "id")


class ProductCapabilities(EmbeddedStream):
    """What a product needs of its reseller."""

    name = "product_capabilities"
    schemas = SCHEMAS
    embedded_in = Products
    rows_at = "capabilities"
    from_parent: ClassVar[Mapping[str, str]] = {"_connection": "_connection", "productId": "id"}
    primary_keys = ("_connection", "productId", "id")
