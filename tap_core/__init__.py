"""The engine under every tap: what is the same for every API."""
