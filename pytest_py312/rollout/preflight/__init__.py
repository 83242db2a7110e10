"""Preflight checks of a rollout: ``py312 doctor``."""
