"""The words of Peek's world: what operators sell and where, and what customers read (the capability octo/content)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "FEATURE",
    "MEDIUM",
    "MINUTES",
    "NAMES",
    "PEOPLE",
    "PLACES",
    "STARTS",
    "UNITS",
    "UNIT_LIMITS",
    "content",
    "supplier",
]

PLACES = (
    ("America/Los_Angeles", ("USD", "USD", "EUR")),
    ("Asia/Kathmandu", ("USD",)),
    ("Europe/Copenhagen", ("DKK", "EUR")),
    ("Asia/Tokyo", ("JPY",)),
    ("Asia/Kuwait", ("KWD", "USD")),
    ("Pacific/Chatham", ("NZD",)),
)
NAMES = (
    "Rent-a-Kayak",
    "Mount “Everest” flight",
    "Havnerundfart Ærø",
    "夜の東京散歩",
    "Dhow\ncruise",
    "Lagoon tour 🌊",
    "Zip line, C:\\jump",
)
STARTS = (("09:00", "14:30"), ("23:30",), ("02:30", "10:00", "14:30"), ("12:00",))
MINUTES = (60, 90, 720, 45)
UNITS = (
    ("1-Seater", "ADULT", (18, 99)),
    ("Child «6–12»", "CHILD", (6, 12)),  # noqa: RUF001
    ("Family", "FAMILY", (0, 99)),
    ("Senior", "SENIOR", (65, 99)),
)
PEOPLE = ("Zoë Ångström", 'Bo "Bear" O\'Neil', "王 小明", "Line\nBreak", "Jane Doe")

FEATURE: Mapping[str, Any] = {"type": "CANCELLATION_TERM", "shortDescription": "Free until an hour before"}
MEDIUM: Mapping[str, Any] = {
    "src": "https://example.com/boat.jpg",
    "type": "image/jpeg",
    "rel": "COVER",
    "title": None,
    "caption": "At sea",
    "copyright": None,
}
UNIT_LIMITS: Mapping[str, Any] = {
    "minHeight": 120,
    "maxHeight": 220,
    "heightUnit": "cm",
    "minWeight": 50,
    "maxWeight": 120,
    "weightUnit": "kg",
}


def content(name: str, minutes: int) -> dict[str, Any]:
    """What customers read about a product or an option (octo/content)."""
    address = {"streetAddress": "1 Pier", "addressLocality": "Harbour", "postalCode": None, "addressCountry": "DK"}
    place = {"latitude": 55.5, "longitude": -3.25, "postalAddress": address, "sameAs": [], "identifiers": {}}
    return {
        "title": name,
        "shortDescription": None,
        "description": f"{name}, {minutes} minutes",
        "features": [FEATURE],
        "faqs": [{"question": "Is it wet?", "answer": "A little."}],
        "media": [MEDIUM],
        "locations": [{"title": "Pier", "types": ["START"], "minutesTo": None, "minutesAt": 5, "place": place}],
        "categoryLabels": ["adults-only"],
        "durationMinutesFrom": minutes,
        "durationMinutesTo": None,
        "commentary": [{"format": "IN_PERSON", "language": "en"}],
    }


def supplier(operator: int, *, described: bool) -> dict[str, Any]:
    """The operator behind a key, with what customers read about it if ``described``."""
    shown: dict[str, Any] = {
        "id": f"supplier-{operator}",
        "name": "Søn & Co",
        "endpoint": "https://octo.example.com/v1",
        "contact": {"website": None, "email": "desk@example.com", "telephone": None, "address": "1 Pier, Harbour"},
    }
    return shown | {"shortDescription": "Boats & more", "media": [MEDIUM]} if described else shown
