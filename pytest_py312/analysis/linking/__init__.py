"""What the files of a service say of one another."""
