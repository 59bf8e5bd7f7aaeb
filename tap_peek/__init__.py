"""Singer tap for the Peek Reseller API (OCTO)."""
