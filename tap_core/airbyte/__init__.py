"""The taps as Airbyte sources: the same settings, schemas, streams and state, told in the Airbyte protocol."""
