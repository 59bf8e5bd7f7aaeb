"""What the vendor does not document: paths, names of parameters, and the shape of a page.

The vendor documents ``POST /auth``, ``GET /customer/{id}``, and that ``GET /fwo`` has pages. All else in these tables
is a guess, and the settings ``endpoints`` and ``pagination`` replace what turns out wrong.
"""

from __future__ import annotations

from typing import Final

from tap_core.config.guesses import Guess, Guesses

__all__ = ["DATES_OF_CHANGE", "ENDPOINTS", "PAGINATION"]

ENDPOINTS: Final[Guesses] = {
    "auth": Guess("/auth", "the vendor's guide", documented=True),
    "fwos": Guess("/fwo", "the vendor's guide", documented=True),
    "customers": Guess("/customer", "the documented call for one customer, without its id"),
    "customer": Guess("/customer/{id}", "the vendor's guide", documented=True),
    "projects": Guess("/project", "named like the documented calls"),
    "employees": Guess("/employee", "named like the documented calls"),
}
"""Path of each call."""

_SPRING: Final = "Spring's default"
_COMMON: Final = "where Spring and other frameworks put it"

PAGINATION: Final[Guesses] = {
    "page_param": Guess("page", _SPRING),
    "size_param": Guess("size", _SPRING),
    "sort_param": Guess("sort", _SPRING),
    "sort": Guess("id,asc", _SPRING),
    "first_page": Guess(None, "the tap finds out"),
    "records": Guess(("content", "items", "data", "results"), _COMMON),
    "last": Guess(("last", "page.last"), _COMMON),
    "total_pages": Guess(("totalPages", "page.totalPages"), _COMMON),
    "total_elements": Guess(("totalElements", "page.totalElements"), _COMMON),
    "page_number": Guess(("number", "page.number"), _COMMON),
    "unpaged": Guess((), "every list call is assumed to have pages"),
}
"""How paging works."""

DATES_OF_CHANGE: Final = (
    "lastUpdated",
    "lastUpdatedDate",
    "lastModified",
    "lastModifiedDate",
    "updated",
    "updatedAt",
    "updatedDate",
    "modified",
    "modifiedAt",
    "modifiedDate",
    "dateUpdated",
    "dateModified",
)
"""Names to look for the date of change of a field work order under; all are guesses."""
