"""Failover drills: one fault at a time, on purpose, with the outage measured and always undone."""
