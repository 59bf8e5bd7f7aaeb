"""What the vendor does not document: paths, names of parameters, and the shape of a page.

The vendor documents ``POST /auth``, ``GET /customer/{id}``, and that ``GET /fwo`` has pages. All else in these tables
is a guess (Spring's defaults), and the settings ``endpoints`` and ``pagination`` replace what turns out wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from singer_sdk import typing as th

from tap_core.errors import ApiError, TransientError
from tap_core.numbered import PageFacts
from tap_core.pagers import Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["DATES_OF_CHANGE", "ENDPOINTS", "ENDPOINTS_SETTING", "PAGINATION_SETTING", "Pagination"]

ENDPOINTS: Final[Mapping[str, str]] = {
    "auth": "/auth",
    "fwos": "/fwo",
    "customers": "/customer",
    "customer": "/customer/{id}",
    "projects": "/project",
    "employees": "/employee",
}
"""Path of each call. Documented: auth, fwos and customer."""

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
"""Names under which the date of change of a field work order is looked for; all are guesses."""

ENDPOINTS_SETTING: Final = th.Property(
    "endpoints",
    th.ObjectType(*(th.Property(name, th.StringType) for name in ENDPOINTS), additional_properties=False),
    default={},
    title="Endpoints",
    description="Paths of calls that are not as guessed, by name: auth, fwos, customers (the list), customer (one, "
    "with {id}), projects, employees.",
)

PAGINATION_SETTING: Final = th.Property(
    "pagination",
    th.ObjectType(
        th.Property("page_param", th.StringType, description="Query parameter of the page's number."),
        th.Property("size_param", th.StringType, description="Query parameter of the page's size; empty to send none."),
        th.Property("sort_param", th.StringType, description="Query parameter of the order; empty to send none."),
        th.Property("sort", th.StringType, description="Its value; empty to send none."),
        th.Property(
            "first_page",
            th.IntegerType(minimum=0, maximum=1),
            description="Number of the first page. Without it, the tap finds out.",
        ),
        th.Property(
            "records", th.ArrayType(th.StringType), description="Where the rows may be in an answer that is no array."
        ),
        th.Property("last", th.ArrayType(th.StringType), description="Where it may say that it is the last page."),
        th.Property("total_pages", th.ArrayType(th.StringType), description="Where the number of pages may be."),
        th.Property("total_elements", th.ArrayType(th.StringType), description="Where the number of rows may be."),
        th.Property("page_number", th.ArrayType(th.StringType), description="Where the number of the page may be."),
        th.Property("unpaged", th.ArrayType(th.StringType), description="Streams whose call has no pages."),
        additional_properties=False,
    ),
    default={},
    title="Pagination",
    description="How pages work where that is not as guessed. Places in an answer are dotted paths; the first that is "
    "there counts.",
)

_members = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


class Pagination(msgspec.Struct, frozen=True, kw_only=True):
    """The setting ``pagination`` on top of the guesses; see `PAGINATION_SETTING` for the members."""

    page_param: str = "page"
    size_param: str = "size"
    sort_param: str = "sort"
    sort: str = "id,asc"
    first_page: int | None = None
    records: tuple[str, ...] = ("content", "items", "data", "results")
    last: tuple[str, ...] = ("last", "page.last")
    total_pages: tuple[str, ...] = ("totalPages", "page.totalPages")
    total_elements: tuple[str, ...] = ("totalElements", "page.totalElements")
    page_number: tuple[str, ...] = ("number", "page.number")
    unpaged: tuple[str, ...] = ()

    def page(self, body: bytes, stream: str) -> Page:
        """The rows of a list call's answer, a bare array or an envelope, and what an envelope says about itself.

        Args:
            body: The answer.
            stream: Its name is one more place where the rows may be.

        Raises:
            TransientError: The answer is an error in the shape that Spring gives it.
            ApiError: There is no list where one is looked for.
        """
        answer = _members.decode(body)
        if isinstance(answer, list):
            return Page(answer)
        rows = next(
            (found for place in (*self.records, stream) if (found := _rows_at(answer, place)) is not None), None
        )
        if rows is None:
            if _value_at(answer, ("error",)):
                raise TransientError("the API answers with an error in a 200 answer")
            places = ", ".join((*self.records, stream))
            raise ApiError(
                f"the answer is no array and has no list under {places}; set pagination.records to where its rows are"
            )
        number, pages, total = (
            _whole(_value_at(answer, places)) for places in (self.page_number, self.total_pages, self.total_elements)
        )
        last = _value_at(answer, self.last)
        return Page(rows, PageFacts(number, pages, total, last if isinstance(last, bool) else None))


def _raw_at(members: Mapping[str, msgspec.Raw], place: str) -> msgspec.Raw | None:
    name, _, rest = place.partition(".")
    found = members.get(name)
    if found is None or not rest:
        return found
    below = _members.decode(found) if bytes(memoryview(found)[:1]) == b"{" else None
    return _raw_at(below, rest) if isinstance(below, dict) else None


def _rows_at(members: Mapping[str, msgspec.Raw], place: str) -> list[msgspec.Raw] | None:
    found = _raw_at(members, place)
    return _list.decode(found) if found is not None and bytes(memoryview(found)[:1]) == b"[" else None


def _value_at(members: Mapping[str, msgspec.Raw], places: Sequence[str]) -> Any:
    found = next((found for place in places if (found := _raw_at(members, place)) is not None), None)
    return None if found is None else msgspec.json.decode(found)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
