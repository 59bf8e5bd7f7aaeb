"""The emulated vendors, one package each: `api`, `model`, `shapes`, `truth`."""
