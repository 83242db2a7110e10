"""Read install recipes: what the Dockerfile, CI and test runners of a service install, in order, and where."""
