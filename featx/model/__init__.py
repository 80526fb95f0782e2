"""A fitted image classifier: its file, and the commands that make and verify one."""
