"""Playbooks to plans, plans to changed hosts. Knows nothing of Kubernetes."""
