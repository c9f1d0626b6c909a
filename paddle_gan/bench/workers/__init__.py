"""The processes that measure. Each is a script of its own, so that each library runs in the environment that suits it."""
