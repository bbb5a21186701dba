"""What a user asks for: which playbook, with which guards."""
