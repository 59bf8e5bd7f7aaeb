"""The emulated vendors, one package each: `api`, `model` (and `records`, where it would be long), `shapes`, `truth`."""
