"""Deployment to a Docker swarm."""
