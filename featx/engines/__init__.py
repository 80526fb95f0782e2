"""How parts of work are done: in this process, by joblib's backends, by a Dask cluster."""
