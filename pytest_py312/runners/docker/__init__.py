"""Cells in containers: the engine, what containers are made like, and the images of services."""
