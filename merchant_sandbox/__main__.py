"""``merchant-sandbox`` and ``python -m merchant_sandbox``."""

import sys

from merchant_sandbox.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
