"""A column that no other vendor needs: the required capabilities that this reseller lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from tap_core.codec import plain
from tap_core.records.field import Access, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_core.records.field import Context, Rows, Transform
    from tap_core.records.policy import Policy

__all__ = ["SUPPORTED", "UnsupportedCapabilities"]

SUPPORTED: Final = "\0capabilities"
"""Where the context of a slice has the capabilities that the tap is set to declare."""


@dataclass(frozen=True)
class UnsupportedCapabilities(Field):
    """The capabilities that a product requires and the reseller does not declare: it cannot sell the product.

    Args:
        name: The column.
        of: The column with the product's capabilities.
    """

    name: str
    of: str = "capabilities"

    @override
    def inputs(self) -> Mapping[str, Mapping[str, Any]]:
        return {self.of: {"type": ["array", "null"]}}

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        read, write = access.getter(self.of), access.setter(self.name)

        def apply(rows: Rows, context: Context) -> None:
            supported = context[SUPPORTED]
            for row in rows:
                needed = {
                    str(capability.get("id"))
                    for capability in plain(read(row)) or ()
                    if isinstance(capability, dict) and capability.get("required")
                }
                write(row, sorted(needed - supported))

        return apply
