"""Measuring a single value of a service: HTTP, gRPC, Prometheus, resource usage, logs, load, user functions."""
