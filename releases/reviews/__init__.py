"""What a reviewer is shown: findings, and the difference to the version before, in sentences."""
