"""What is told of a rollout: evidence, the roadmap, metrics, notices."""
