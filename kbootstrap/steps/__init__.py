"""Desired state: each step can say what is different, and what to run to make it so."""
