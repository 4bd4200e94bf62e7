"""Other packages with sparse feature attention."""
