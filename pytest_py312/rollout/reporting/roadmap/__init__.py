"""The roadmap of a migration: stages with dates, what the gate has found, the next step and what is left."""
