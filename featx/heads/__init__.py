"""Classifiers over rows of features: the table of them, training, and their comparison."""
