"""What samples say: pure statistics."""
