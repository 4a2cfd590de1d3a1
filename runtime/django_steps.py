"""What Django has to do in this process before a system can start."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError, connection, connections, transaction

from runtime.console import Console
from runtime.exceptions import RuntimeProblem
from runtime.stopping import StopRequest

# Any number that nothing else takes an advisory lock on.
MIGRATION_LOCK = 7_583_203_019


def prepare(console: Console, stop: StopRequest) -> None:
    """Load Django, migrate, make the demo accounts, collect static files; needs the environment.

    Raises `RuntimeProblem` if a setting is wrong or the database cannot be used.
    """
    with _clear_errors(), _quiet():
        with console.step("Migrating the database"), stop.interruptible():
            django.setup()
            _migrate()
        with console.step("Creating demo accounts"), stop.interruptible():
            call_command("create_demo_users", stdout=io.StringIO())
        with console.step("Collecting static files"), stop.interruptible():
            call_command("collectstatic", interactive=False, verbosity=0)


def _migrate() -> None:
    """Migrate in one transaction, one system at a time.

    Django creates some tables in one transaction and notes their migration in another. A kill
    between the two would stop every later start at "relation already exists".
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        call_command("migrate", interactive=False, verbosity=0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep log lines of Django and the apps out of the middle of the steps."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except ImproperlyConfigured as error:
        raise RuntimeProblem(str(error)) from error
    except OperationalError as error:
        raise RuntimeProblem(f"The database cannot be used: {error}") from error
    finally:
        connections.close_all()
