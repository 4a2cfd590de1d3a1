"""The environment of a system's processes: what the user set wins, the rest is made up once."""

from __future__ import annotations

import base64
import os
import secrets

from runtime.state import StateDir


def build_environment(
    state: StateDir, *, database_url: str, redis_url: str, port: int, sandbox_port: int | None
) -> dict[str, str]:
    """Return the whole environment for the processes of the system in `state`.

    `sandbox_port` is None if the user set SANDBOX_URL.
    """
    ours = {
        "BASE_URL": f"http://127.0.0.1:{port}",
        "SANDBOX_URL": f"http://127.0.0.1:{sandbox_port}",
        "SECRET_KEY": state.secret("SECRET_KEY", secrets.token_urlsafe(50)),
        "SANDBOX_API_KEY": state.secret("SANDBOX_API_KEY", secrets.token_urlsafe(32)),
        "SANDBOX_WEBHOOK_SECRET": state.secret("SANDBOX_WEBHOOK_SECRET", _webhook_secret()),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONUNBUFFERED": "1",
    }
    fixed = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "STATE_DIR": str(state.path),
    }
    set_by_user = {name: value for name, value in os.environ.items() if value}
    return {**ours, **set_by_user, **fixed}


def _webhook_secret() -> str:
    """Return a secret as Standard Webhooks writes it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
