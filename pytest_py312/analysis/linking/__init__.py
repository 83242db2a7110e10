"""Combine the facts of the files of a service: names, guards and patches that one file has through others."""
