"""What a run does at this moment: events of its stages, the state that follows from them, and two ways to show it."""
