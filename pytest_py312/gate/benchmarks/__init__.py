"""Is a service slower on the target? Sampling, statistics, and verdicts."""
