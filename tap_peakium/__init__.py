"""Singer tap for the Peakium payments API."""
