"""Real data: loading, splitting, batching and normalising them."""
