"""An emulator of the five APIs, for the demo, for tests, and for users without an account."""
