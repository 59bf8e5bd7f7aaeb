"""Singer tap for the premiumpay sales and channel API."""
