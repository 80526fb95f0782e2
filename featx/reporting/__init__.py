"""Pictures and pages that people look at: plots, contact sheets, and the report."""
