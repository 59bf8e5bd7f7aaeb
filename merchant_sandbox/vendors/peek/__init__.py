"""Peek: tours and bookings (OCTO)."""
