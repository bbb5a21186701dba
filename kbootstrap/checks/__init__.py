"""Named waits: a probe that must succeed before a deadline."""
