"""Check services on the workers of a Dask cluster: what is sent to them, where it can go, and what comes back."""
