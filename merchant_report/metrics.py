"""Names and meanings of figures, from the metrics that dbt's semantic layer declares."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from merchant_report.marts import ReportError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MANIFEST", "Metric", "read_metrics"]

MANIFEST = Path("transform/target/semantic_manifest.json")
"""Where dbt writes them."""


@dataclass(frozen=True)
class Metric:
    """A metric as it is declared.

    Args:
        label: What people call it.
        description: What it means.
    """

    label: str
    description: str


def read_metrics(path: Path | None) -> Mapping[str, Metric]:
    """The metrics by name.

    Args:
        path: dbt's file; by default `MANIFEST`, if it is there.

    Raises:
        ReportError: A file that was asked for is not there, or is not of that form.
    """
    if path is None and not MANIFEST.is_file():
        return {}
    try:
        found = json.loads((path or MANIFEST).read_text(encoding="utf-8"))
        return {
            metric["name"]: Metric(metric.get("label") or "", metric.get("description") or "")
            for metric in found["metrics"]
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise ReportError(
            f"{path or MANIFEST} is not a semantic manifest of dbt, which `dbt parse` writes into transform/target"
        ) from None
