"""Ask that the copies of a version are read as the public reads them: a durable job does it."""

from typing import Any

from releases.jobs import engine


def request_reread(version_id: int, *, cause: str, now: Any = None) -> None:
    """Start the job of one cause, in the caller's transaction; the same cause starts it once."""
    engine.start(f"reread:{cause}", "reread", version_id, now=now)
