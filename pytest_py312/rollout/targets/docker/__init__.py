"""Stages on one Docker engine."""
