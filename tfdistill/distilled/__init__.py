"""What comes out: the data, its recipe and its files."""
