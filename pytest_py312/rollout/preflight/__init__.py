"""Whether a rollout could begin: py312 doctor."""
