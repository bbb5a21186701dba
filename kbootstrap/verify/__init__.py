"""Proves that a cluster is what its inventory says: testinfra suites on the hosts, and live checks."""
