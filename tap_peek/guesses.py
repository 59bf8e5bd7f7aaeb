"""What Peek's pages leave open, or say without a name: paths and parameters that settings can override.

``docs/tap-peek.md`` tells where each one comes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENDPOINTS", "PARAMETERS"]

ENDPOINTS: Final[Mapping[str, str]] = {
    "products": "/products",
    "availability_calendar": "/availability/calendar",
    "availability": "/availability",
    "bookings": "/bookings",
    "webhooks": "/webhooks",
    "supplier": "/supplier",
    "capabilities": "/capabilities",
}
"""Paths below ``api_url``. Peek lists the first five; the last two are in the OCTO standard only."""

PARAMETERS: Final[Mapping[str, str]] = {
    "travel_from": "localDateStart",
    "travel_to": "localDateEnd",
    "reseller_reference": "resellerReference",
    "supplier_reference": "supplierReference",
    "capabilities": "_capabilities",
}
"""Query parameters. Those of the bookings come from client code and the standard; Peek says that capabilities may be
sent in a parameter, but not in which: the name is inferred."""
