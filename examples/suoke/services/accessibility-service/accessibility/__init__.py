"""Makes what the platform says fit for those who see, hear or read differently."""
