"""``merchant-webhooks`` and ``python -m merchant_webhooks``."""

from __future__ import annotations

import sys
from typing import NoReturn

from merchant_webhooks.cli import run

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command."""
    sys.exit(run())


if __name__ == "__main__":
    main()
