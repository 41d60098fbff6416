"""What every package shares: errors, files, statistics and curves."""
