"""Backups proven by restoring them in a scratch place."""
