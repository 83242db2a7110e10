"""Canary analysis: pure statistics of samples."""
