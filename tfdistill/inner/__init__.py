"""The inner loop: how a student learns, and how that is differentiated."""
