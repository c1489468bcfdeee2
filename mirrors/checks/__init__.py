"""Proof that copies are good: copies are read again, mirrors asked, and what is wrong is told and put right."""
