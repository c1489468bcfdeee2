"""From a locked manifest to compared bytes: environments, executions, what was made, and why two of them differ."""
