"""Stages as services of a swarm."""
