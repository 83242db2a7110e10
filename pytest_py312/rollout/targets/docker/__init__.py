"""Deployment to a plain Docker engine."""
