"""The one error of the sandbox."""

from __future__ import annotations

__all__ = ["SandboxError"]


class SandboxError(Exception):
    """The sandbox did not start, or a call to it can't be met; the text is one line for the user."""
