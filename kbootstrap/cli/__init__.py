"""The command line: parses, prints, exits. No decisions."""
