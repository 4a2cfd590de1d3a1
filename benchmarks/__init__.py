"""Measurements of the engine, run by `make bench-engine`; docs/benchmarks.md says what they mean."""
