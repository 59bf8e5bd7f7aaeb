"""Singer tap for the Pegke loyalty API."""
