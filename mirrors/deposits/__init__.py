"""What a version's record at a mirror says and holds: described, adopted, discarded and kept tidy."""
