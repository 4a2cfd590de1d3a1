"""Runs Sluice on one machine: embedded servers, a supervisor, and what `make` starts."""
