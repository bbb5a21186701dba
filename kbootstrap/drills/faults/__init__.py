"""What is done to hosts, one fault or one kind of fault in each file."""
