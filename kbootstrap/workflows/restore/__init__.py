"""Backups read, checked, and put back."""
