"""Pages and pictures about a model: the report, contact sheets, where a classifier looked."""
