"""From four examinations to advice on how soon to see a doctor."""
