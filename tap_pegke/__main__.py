"""``tap-pegke`` and ``python -m tap_pegke``."""

from __future__ import annotations

from typing import NoReturn

from tap_pegke.tap import TapPegke

__all__ = ["main"]


def main() -> NoReturn:
    """Run the tap."""
    TapPegke.main()


if __name__ == "__main__":
    main()
