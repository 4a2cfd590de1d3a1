"""Starts the sandbox: `python -m payments.sandbox --port 9000 --database sandbox.sqlite3`.

Needs SANDBOX_API_KEY and SANDBOX_WEBHOOK_SECRET in the environment. SIGTERM or SIGINT ends it.

While a webhook secret is changed, SANDBOX_WEBHOOK_SECRET holds the old and the new one, with a
comma between them. Each event is then signed with all of them, as Standard Webhooks wants it, so
that a receiver believes it whichever of them it knows.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from standardwebhooks.webhooks import EmptyWebhookSecretError

from payments.sandbox.exchange import Sandbox
from payments.sandbox.server import SandboxServer
from payments.sandbox.store import Store
from payments.sandbox.webhooks import Sender


def main() -> None:
    """Serve until told to stop; requests and webhooks cut off by the end are safe to repeat."""
    arguments = _parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    store = Store(arguments.database)
    sender = _sender(store)
    sandbox = Sandbox(
        store=store,
        sender=sender,
        api_key=_secret("SANDBOX_API_KEY"),
        public_url=arguments.public_url,
    )
    with SandboxServer((arguments.host, arguments.port), sandbox) as server:
        sender.start()
        threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
        print(f"Sandbox listening on http://{server.server_name}:{server.server_port}", flush=True)
        stop.wait()
        server.shutdown()
        # An attempt may hang in a slow receiver. Then the store stays open for it; the end of
        # the process closes both, and loses nothing that was committed.
        if sender.stop(timeout=1):
            store.close()


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m payments.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one and says which")
    parser.add_argument("--database", type=Path, required=True, help="file, made if missing")
    parser.add_argument("--public-url", help="how browsers reach it, if not as its API clients do")
    return parser.parse_args()


def _sender(store: Store) -> Sender:
    name = "SANDBOX_WEBHOOK_SECRET"
    secrets = [part.strip() for part in _secret(name).split(",") if part.strip()]
    try:
        if secrets:
            return Sender(store, secrets)
    except (ValueError, EmptyWebhookSecretError):
        pass  # the library's own words do not say which variable it is
    sys.exit(f'{name} must be "whsec_" and base64, or several of these with commas.')


def _secret(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        sys.exit(f"Set the environment variable {name}.")
    return value


if __name__ == "__main__":
    main()
