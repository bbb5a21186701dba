"""Certificates and keys, in memory: no I/O. What is stored where is the components' business."""
