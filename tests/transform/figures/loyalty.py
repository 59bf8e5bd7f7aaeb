"""Points and visits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tests.transform.figures.common import ZERO, Row, Truth, first_of_month, grouped, moment, months, rounded

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Entry:
    """A movement of points; each kind in the sandbox is a visit."""

    member: str
    at: datetime
    earned: Decimal
    burnt: Decimal


def _entries(truth: Truth) -> list[Entry]:
    found = {}
    for row in truth.rows("pegke", "store_history"):
        at = moment(row["created"])
        assert at
        points = Decimal(row["points"])
        earned = points if row["type"] == "earn" else ZERO
        found[row["id"]] = Entry(row["cid"], at, earned, -points if row["type"] == "redeem" else ZERO)
    return list(found.values())


def loyalty_by_day(truth: Truth) -> list[Row]:
    entries = _entries(truth)
    first = {member: min(times) for member, times in grouped((each.member, each.at) for each in entries).items()}
    by_day = grouped((each.at.date(), each) for each in entries)
    rows: list[Row] = []
    day, balance = min(by_day), ZERO
    while day <= max(*by_day, truth.as_of.date()):
        own: list[Entry] = by_day.get(day, [])
        earned, burnt = sum((each.earned for each in own), ZERO), sum((each.burnt for each in own), ZERO)
        balance += earned - burnt
        rows.append(
            {
                "date_day": day,
                "visits": len(own),
                "active_members": len({each.member for each in own}),
                "new_members": len({each.member for each in own if each.at == first[each.member]}),
                "earned": earned,
                "burnt": burnt,
                "expired": ZERO,
                "other": ZERO,
                "balance": balance,
            }
        )
        day += _DAY
    return rows


def loyalty_members(truth: Truth) -> list[Row]:
    by_member: dict[str, list[Entry]] = grouped((each.member, each) for each in _entries(truth))
    known = {row["cid"]: row for row in truth.rows("pegke", "customers")}
    rows: list[Row] = []
    for member in by_member.keys() | known.keys():
        own, record = by_member.get(member, []), known.get(member, {})
        first, last = (min(each.at for each in own), max(each.at for each in own)) if own else (None, None)
        away = truth.as_of - last if last else None
        span = last - first if last and first else timedelta()
        earned, burnt = sum((each.earned for each in own), ZERO), sum((each.burnt for each in own), ZERO)
        mean = Decimal(span // timedelta(seconds=1)) / 86_400 / (len(own) - 1) if len(own) > 1 else None
        at_risk = away is not None and len(own) > 2 and away >= 14 * _DAY and away * (len(own) - 1) > 2 * span
        rows.append(
            {
                "member_id": member,
                "joined_at": moment(record.get("created")),
                "first_visit_at": first,
                "last_visit_at": last,
                "cohort_month": first and first_of_month(first),
                "visits": len(own),
                "days_since_last_visit": None if away is None else away // _DAY,
                "mean_days_between_visits": None if mean is None else rounded(mean, 2),
                "is_at_risk": at_risk,
                "earned": earned,
                "burnt": burnt,
                "expired": ZERO,
                "balance": earned - burnt,
                "vendor_balance": Decimal(record["points"]) if record else None,
            }
        )
    return rows


def loyalty_cohorts(truth: Truth) -> list[Row]:
    entries = _entries(truth)
    joined = {
        member: first_of_month(min(times))
        for member, times in grouped((each.member, each.at) for each in entries).items()
    }
    by_month: dict[object, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_month[joined[entry.member], first_of_month(entry.at)].append(entry)
    rows: list[Row] = []
    for cohort in sorted({*joined.values()}):
        for number, month in enumerate(months(cohort, first_of_month(truth.as_of))):
            own = by_month[cohort, month]
            rows.append(
                {
                    "cohort_month": cohort,
                    "month_number": number,
                    "date_month": month,
                    "members": sum(month == cohort for month in joined.values()),
                    "active_members": len({each.member for each in own}),
                    "visits": len(own),
                    "earned": sum((each.earned for each in own), ZERO),
                    "burnt": sum((each.burnt for each in own), ZERO),
                }
            )
    return rows
