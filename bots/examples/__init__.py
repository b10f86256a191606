"""Five bots to begin with; docs/bots.md tells of them. Each is a file for `ringback bot run`."""
