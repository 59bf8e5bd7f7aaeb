"""The one error of the sandbox."""

from __future__ import annotations

__all__ = ["SandboxError"]


class SandboxError(Exception):
    """The sandbox did not start, or cannot do what was asked; the text is one line for the user."""
