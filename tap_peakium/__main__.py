"""``tap-peakium`` and ``python -m tap_peakium``."""

from __future__ import annotations

from typing import NoReturn

from tap_peakium.tap import TapPeakium

__all__ = ["main"]


def main() -> NoReturn:
    """Run the tap."""
    TapPeakium.main()


if __name__ == "__main__":
    main()
