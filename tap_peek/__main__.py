"""``tap-peek`` and ``python -m tap_peek``."""

from __future__ import annotations

from typing import NoReturn

from tap_peek.tap import TapPeek

__all__ = ["main"]


def main() -> NoReturn:
    """Run the tap."""
    TapPeek.main()


if __name__ == "__main__":
    main()
