"""Files: atomic writes and locks, untrusted HDF5, tensors, and what a stopped run left."""
