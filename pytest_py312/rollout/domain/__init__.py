"""The domain of a rollout: events, state machine, preconditions and journal. Pure, except for the journal."""
