"""What leaves the tap: Singer messages on standard output, progress on standard error."""
