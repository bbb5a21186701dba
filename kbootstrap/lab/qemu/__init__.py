"""Hosts as virtual machines: a kernel of their own, with modules that this machine's may not have."""
