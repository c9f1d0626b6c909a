"""The worker processes, which measure: each is a script of its own, so that each library gets its best environment."""
