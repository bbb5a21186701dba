"""Reading Ansible's inventories, to begin with one of our own."""
