"""How fast kbootstrap is, compared with the same work done by other means. See docs/benchmarks.md."""
