"""Webhooks: what is answered 200 is never lost, and what is delivered is never believed."""
