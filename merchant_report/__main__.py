"""``python -m merchant_report``, and the console script."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; name the extra if it is not installed."""
    try:
        from merchant_report.cli import cli  # noqa: PLC0415 - its libraries may be missing
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("merchant_report"):
            raise
        sys.exit(f"merchant-report: {error.name} is not installed: pip install 'merchant-taps[report]'")
    cli()


if __name__ == "__main__":
    main()
