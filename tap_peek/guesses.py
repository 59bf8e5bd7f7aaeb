"""What Peek's pages leave open, or say without a name: paths and parameters that settings can override."""

from __future__ import annotations

from typing import Final

from tap_core.config.guesses import Guess, Guesses

__all__ = ["ENDPOINTS", "PARAMETERS"]

ENDPOINTS: Final[Guesses] = {
    "products": Guess("/products", "Peek's list of calls", documented=True),
    "availability_calendar": Guess("/availability/calendar", "Peek's list of calls", documented=True),
    "availability": Guess("/availability", "Peek's list of calls", documented=True),
    "bookings": Guess("/bookings", "Peek's list of calls", documented=True),
    "webhooks": Guess("/webhooks", "Peek's list of calls", documented=True),
    "supplier": Guess("/supplier", "the OCTO standard only"),
    "capabilities": Guess("/capabilities", "the OCTO standard only"),
}
"""Paths below ``api_url``."""

PARAMETERS: Final[Guesses] = {
    "travel_from": Guess("localDateStart", "client code and the OCTO standard"),
    "travel_to": Guess("localDateEnd", "client code and the OCTO standard"),
    "reseller_reference": Guess("resellerReference", "client code and the OCTO standard"),
    "supplier_reference": Guess("supplierReference", "client code and the OCTO standard"),
    "capabilities": Guess("_capabilities", "Peek says that a parameter may name them, but not which"),
}
"""Query parameters."""
