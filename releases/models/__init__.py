from releases.models.jobs import Effect, Job, Step

__all__ = ["Effect", "Job", "Step"]
