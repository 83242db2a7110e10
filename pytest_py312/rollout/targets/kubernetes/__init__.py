"""Stages as workloads of a cluster."""
