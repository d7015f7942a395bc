"""What registration and fusion are measured by, each with its source."""
