"""Read and scan many files in parallel, each distinct content once."""
