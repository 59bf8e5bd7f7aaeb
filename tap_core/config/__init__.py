"""What a user hands in: settings, environment, catalog, and the secrets among them."""
