"""``tap-peerassist`` and ``python -m tap_peerassist``."""

from __future__ import annotations

from typing import NoReturn

from tap_core.early import begin

__all__ = ["main"]


def main() -> NoReturn:
    """Run the tap."""
    begin()
    from tap_peerassist.tap import TapPeerAssist  # noqa: PLC0415  signals are handled before the imports that take time

    TapPeerAssist.main()


if __name__ == "__main__":
    main()
