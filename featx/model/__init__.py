"""A fitted image classifier: its file, and the commands that make, export and verify one."""
