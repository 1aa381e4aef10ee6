"""What makes the synthetic data."""
