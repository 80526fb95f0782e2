"""What people look at: plots on axes and as files, results in notebooks."""
