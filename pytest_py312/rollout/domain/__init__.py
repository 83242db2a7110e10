"""What happens to a stage: events, the state machine, and the journal. Pure, but for the journal."""
