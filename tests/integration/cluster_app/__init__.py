"""An app of handlers for clusters under test; `tests.integration.cluster_settings` installs it."""
