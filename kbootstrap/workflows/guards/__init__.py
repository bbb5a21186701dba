"""What is held around the work on a host that serves, so that its clients do not notice."""
