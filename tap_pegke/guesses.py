"""What the vendor documents about addresses and names, and what is a guess: one table that settings override.

The merchant API is documented by its README and sample code, without any answer. Version 1 is documented by a page that
prints one call and leaves its other sections empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENDPOINTS", "NAMES", "Fact"]


@dataclass(frozen=True, slots=True)
class Fact:
    """An address or a name of the API.

    Args:
        value: What the tap uses by default.
        documented: Whether the vendor says so.
        note: Where it comes from.
    """

    value: str
    documented: bool
    note: str


ENDPOINTS: Final[Mapping[str, Fact]] = {
    "my_offers": Fact("/apiv1/?q=my_offers", True, "merchant API samples (the README: /apiv1/my_offers)"),
    "check_points": Fact("/apiv1/?q=check_points", True, "merchant API samples (the README: /apiv1/check_points)"),
    "check_history": Fact("/apiv1/?q=check_history", True, "merchant API samples (the README: /apiv1/check_history)"),
    "status": Fact("/?q=api/pegke_status", True, "the vendor's own status page and bot"),
    "user": Fact("/v1/entity/user?_format=json", True, "version 1; the same call gives points"),
    "refresh": Fact("/simple-oauth/refresh", True, "developer FAQ; method and host are inferred"),
    "token": Fact("/v1/oauth2/token", False, "the page whose words the vendor repeats (POST, HTTP Basic)"),
    "store_history": Fact("/v1/store/history", False, "a heading without text in version 1"),
    "user_history": Fact("/v1/user/history", False, "a heading without text in version 1"),
    "store_activity": Fact("/v1/realtime/store-activity", False, "one sentence in version 1: a WebSocket"),
}
"""Paths below ``api_url``, by the name that the setting ``endpoints`` uses."""

NAMES: Final[Mapping[str, Fact]] = {
    "phone": Fact("phone", True, "parameter; README and Node sample; the PHP sample says phone_number"),
    "page": Fact("page", True, "parameter of check_history; for version 1 inferred"),
    "offers": Fact("offers", False, "member that holds the offers; a bare array is taken too"),
    "customer": Fact("customer", False, "member of check_history that holds the basic details"),
    "history": Fact("history", False, "member of check_history that holds the entries"),
    "data": Fact("data", False, "member of version 1 histories that holds the entries"),
    "sstatus": Fact("sstatus", True, "member of the status answer that holds the components"),
}
"""Names of parameters and of members of answers, by the name that the setting ``names`` uses."""
