"""What the queue may call: ids in, nothing out."""

from releases.jobs import engine


def run_step(step_id: int) -> None:
    """Run one attempt of a step if it is still owed. Safe to be delivered late, twice or never."""
    engine.run_step(step_id)
