"""The command line: a command a file, with what it prints."""
