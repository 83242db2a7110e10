"""A command that kills rollout commands at random moments: ``python -m tests.kills``."""
