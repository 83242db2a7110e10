"""What wearables measured, and what it comes to."""
