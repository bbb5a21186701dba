"""What the user wrote, and what it means. No I/O besides reading the inventory's file."""
