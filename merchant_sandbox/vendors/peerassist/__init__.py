"""PeerAssist: field work orders, customers, projects, employees."""
