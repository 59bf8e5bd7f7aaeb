"""What a user provides: settings, environment, catalog, and the secrets among them."""
