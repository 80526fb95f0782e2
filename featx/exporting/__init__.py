"""A model as a file for other programs, run and compared with the model before it is written."""
