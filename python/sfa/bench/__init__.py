"""`python -m sfa.bench`: measure attention and sparsify against other implementations, on a GPU or this CPU."""
