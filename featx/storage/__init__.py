"""Files: atomic writes and locks, untrusted HDF5, and what a stopped run left."""
