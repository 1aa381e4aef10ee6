"""Who learns: the weights that students start with."""
