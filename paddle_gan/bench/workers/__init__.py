"""The processes that measure: each a script of its own, so that each library has the environment that suits it."""
