"""Which mirrors there are: registered, examined, opened, paused and ended."""
