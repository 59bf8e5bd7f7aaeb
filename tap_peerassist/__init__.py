"""Singer tap for PeerAssist field work orders."""
