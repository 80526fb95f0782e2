"""A model over many images: their rows, the scores that are written, and evaluation."""
