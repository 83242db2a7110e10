"""What is installed on this machine: distributions that are built once, and environments that are linked from them."""
