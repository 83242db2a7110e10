"""Divide a run into parts for several machines, and merge their documents into the report of the whole."""
