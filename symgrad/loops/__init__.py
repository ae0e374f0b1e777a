"""Loop nests: what compiled targets print."""
