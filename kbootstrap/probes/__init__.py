"""What a user would feel while something is done to a cluster, measured request by request."""
