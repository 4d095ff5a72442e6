"""Files in memory, behaving as real ones do."""
