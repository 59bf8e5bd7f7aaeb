"""Customers across the vendors."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tests.transform.figures.common import Row, Truth, moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime


class Record(NamedTuple):
    """What an account knows of somebody."""

    vendor: str
    account: str
    id: str
    emails: list[str]
    phones: list[str]
    seen: datetime | None


VENDORS = ("peakium", "peerassist", "pegke", "peek", "premiumpay")


def _email(text: str | None) -> list[str]:
    return [text.strip().lower()] if text and re.fullmatch(r"[^@ ]+@[^@ ]+\.[^@ ]+", text.strip()) else []


def _phone(text: str | None, code: str = "") -> list[str]:
    digits = re.sub(r"\D", "", text or "")
    if len(digits) < 7 or len(set(digits)) == 1:
        return []
    assert text
    if text.strip().startswith("+"):
        return [f"+{digits}"]
    return [f"+{code}{digits}" if code and len(digits) == 10 else digits]


def _records(truth: Truth) -> Iterator[Record]:
    def record(vendor: str, key: str, emails: list[str], phones: list[str], seen: datetime | None) -> Record:
        return Record(vendor, truth.account(vendor), key, emails, phones, seen)

    for row in truth.rows("peakium", "customers"):
        metadata = row.get("metadata") or {}
        yield record("peakium", row["id"], _email(metadata.get("email") or row["id"]), [], moment(row["created"]))
    for row in truth.rows("pegke", "customers"):
        yield record("pegke", row["_phone"], _email(row.get("email")), _phone(row["_phone"]), moment(row["created"]))
    for row in truth.read("peek", "bookings", "uuid"):
        contact = row["contact"]
        seen = moment(row.get("utcCreatedAt")) or moment(row.get("utcConfirmedAt"))
        emails, phones = _email(contact.get("emailAddress")), _phone(contact.get("phoneNumber"))
        yield record("peek", row["uuid"], emails, phones, seen)
    for row in truth.rows("peerassist", "customers"):
        addresses = _email(row.get("contactEmail")) + _email(row.get("billingContactEmail"))
        numbers = _phone(row.get("contactPhone"), "1") + _phone(row.get("billingContactPhone"), "1")
        yield record("peerassist", str(row["id"]), addresses, numbers, None)


def _groups(records: list[Record]) -> list[list[Record]]:
    """Records that belong together; those without any identifier are nobody's."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    for record in records:
        names = [f"email:{email}" for email in record.emails] + [f"phone:{phone}" for phone in record.phones]
        for name in names:
            one, other = sorted((find(names[0]), find(name)))
            leader[other] = one
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        names = [f"email:{email}" for email in record.emails] + [f"phone:{phone}" for phone in record.phones]
        if names:
            groups[find(names[0])].append(record)
    return list(groups.values())


def customers(truths: Sequence[Truth]) -> list[Row]:
    rows: list[Row] = []
    for group in _groups([record for truth in truths for record in _records(truth)]):
        emails = {email for record in group for email in record.emails}
        phones = {phone for record in group for phone in record.phones}
        names = sorted([f"email:{email}" for email in emails] + [f"phone:{phone}" for phone in phones])
        by_email = any(len({r.account for r in group if email in r.emails}) > 1 for email in emails)
        by_phone = any(len({r.account for r in group if phone in r.phones}) > 1 for phone in phones)
        how = {
            (True, True): ("email and phone", "high"),
            (True, False): ("email", "medium"),
            (False, True): ("phone", "low"),
        }
        matched_by, confidence = how.get((by_email, by_phone), ("none", "none"))
        count = {vendor: sum(record.vendor == vendor for record in group) for vendor in VENDORS}
        rows.append(
            {
                "customer_key": hashlib.md5(names[0].encode()).hexdigest(),
                "email": min(emails, default=None),
                "phone": min(phones, default=None),
                "emails": len(emails),
                "phones": len(phones),
                "vendors": sum(number > 0 for number in count.values()),
                "accounts": len({record.account for record in group}),
                "peakium_customers": count["peakium"],
                "peerassist_customers": count["peerassist"],
                "pegke_members": count["pegke"],
                "peek_bookings": count["peek"],
                "matched_by": matched_by,
                "confidence": confidence,
                "first_seen_at": min((record.seen for record in group if record.seen), default=None),
            }
        )
    return rows


def customer_matching(truths: Sequence[Truth]) -> list[Row]:
    records = [record for truth in truths for record in _records(truth)]
    groups = _groups(records)
    rows: list[Row] = []
    for vendor, account in ((vendor, truth.account(vendor)) for truth in truths for vendor in VENDORS):
        own = [record for record in records if record.account == account]
        known = [group for group in groups if any(record.account == account for record in group)]
        can_match = bool(known)
        note = None
        if vendor == "premiumpay":
            note = "premiumpay tells nothing of its buyers."
        elif not can_match:
            note = (
                "No record has an e-mail address or a phone number (with pii: drop, none can), "
                "so its customers cannot be matched."
            )
        rows.append(
            {
                "vendor": vendor,
                "account": account,
                "records": len(own),
                "with_email": sum(bool(record.emails) for record in own),
                "with_phone": sum(bool(record.phones) for record in own),
                "hashed": 0,
                "shared_identifiers": 0,
                "customers": len(known),
                "matched_customers": sum(len({record.vendor for record in group}) > 1 for group in known),
                "can_match": can_match,
                "note": note,
            }
        )
    return rows
