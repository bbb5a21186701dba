"""kbootstrap: a highly available Kubernetes from bare Linux hosts, over SSH."""

__version__ = "0.1.0"
