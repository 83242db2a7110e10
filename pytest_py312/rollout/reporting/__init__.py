"""Reports about a rollout: evidence, roadmap, Prometheus metrics and rules, notifications."""
