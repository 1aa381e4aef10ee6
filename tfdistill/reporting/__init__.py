"""What a person sees of a run: plots, TensorBoard, the report."""
