"""What is in installed distributions: the facts of their modules, read once for each distribution and interpreter."""
