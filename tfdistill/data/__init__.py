"""Real data in."""
