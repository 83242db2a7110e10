"""What is installed for a service: which of its modules are reached, and what of them the target lacks."""
