"""Where a stage is deployed to. Each target is one class with the verbs of the protocol."""
