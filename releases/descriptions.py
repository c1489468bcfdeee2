"""Ask that what mirrors and registrars say of a dataset follows our rows: a durable job does it."""

from typing import Any

from releases.jobs import engine


def request_descriptions(dataset_id: int, *, cause: str, now: Any = None) -> None:
    """Start the job of one cause, in the caller's transaction; the same cause starts it once."""
    engine.start(f"describe:{cause}", "describe", dataset_id, now=now)
