"""Is a service slower on the target? Statistics, the schedule of samples, what is sampled, and the verdict."""
