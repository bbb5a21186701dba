"""What is true on a host, read in one batched round trip as typed values."""
