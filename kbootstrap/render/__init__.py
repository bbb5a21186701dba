"""Templates to text."""
