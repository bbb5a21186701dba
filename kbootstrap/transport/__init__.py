"""The way to a host: one SSH connection per host and run. Nothing else sees Fabric or paramiko."""
