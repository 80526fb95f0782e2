"""The file of features: planned, extracted, written, read."""
