"""premiumpay: sales and channel performance."""
