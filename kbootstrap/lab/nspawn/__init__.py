"""Hosts as systemd containers on this machine: quick, and enough for Kubernetes."""
