"""Further engines of the plan: cells run there too, with copies of what they read."""
