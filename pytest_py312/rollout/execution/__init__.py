"""Execution of a rollout: acts, locks, the driver, contracts, steps and drills."""
