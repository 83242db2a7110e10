"""Processes that start without importing anything: forks of one that has done it."""
