"""A real system that is broken on purpose while it works; `make chaos` runs it."""
