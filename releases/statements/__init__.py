"""Signed statements about builds, ours and those of rebuilders: written, sealed, accepted and counted."""
