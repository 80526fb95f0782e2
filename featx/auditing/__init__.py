"""What is odd about the images of a cache: labels, near duplicates, leaks, rubbish; `audit`."""
