"""Test hosts on this machine."""
