"""Real hosts, real Kubernetes, and the command line as a user types it."""
