"""``tap-peerassist`` and ``python -m tap_peerassist``."""

from __future__ import annotations

from typing import NoReturn

from tap_peerassist.tap import TapPeerAssist

__all__ = ["main"]


def main() -> NoReturn:
    """Run the tap."""
    TapPeerAssist.main()


if __name__ == "__main__":
    main()
