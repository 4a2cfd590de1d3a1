"""The Django app of the benchmark: a handler that does nothing but say when it started."""
