"""A web process that dies while it takes in a submission, at each line that matters."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User
from applications.maintenance import sweep_files
from applications.models import Application, ApplicationFile
from outbox.models import Outbox
from runtime.state import PROJECT_DIR
from tests.applications.documents import PDF_HEAD
from tests.applications.submissions import stored_files, submit, upload
from tests.dying import CHILD_SECONDS
from tests.integration.clusters import cluster_environment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def state_dir(settings, tmp_path: Path) -> Path:
    """A folder for the system; its documents are where the test looks for them."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "files"}},
    }
    return tmp_path


def send_and_die(student: User, state_dir: Path, *, at: str, when: str) -> None:
    token = str(AccessToken.for_user(student))
    module = "tests.applications.dying_request"
    ended = subprocess.run(
        [sys.executable, "-m", module, token, "the-key", at, when],
        cwd=PROJECT_DIR,
        env=cluster_environment(state_dir),
        timeout=CHILD_SECONDS,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL


def send_again(client: Any) -> Any:
    return submit(client, upload(PDF_HEAD), key="the-key")


@pytest.mark.parametrize(
    ("at", "when"),
    [
        ("applications.intake.validate", "before"),  # the file is stored
        ("applications.intake._store", "after"),  # the rows are written
        ("applications.idempotency.remember", "after"),  # all but the commit
    ],
)
def test_death_before_the_commit_leaves_nothing_and_the_key_free(
    student, bearer, state_dir, settings, at, when
):
    send_and_die(student, state_dir, at=at, when=when)
    assert (Application.objects.count(), Outbox.objects.count()) == (0, 0)
    assert stored_files(state_dir / "files") == [PDF_HEAD]

    response = send_again(bearer)

    assert (response.status_code, "Idempotency-Replayed" in response) == (202, False)
    settings.ORPHAN_FILE_HOURS = -1
    assert sweep_files() == 1
    assert [path.name for path in (state_dir / "files").iterdir()] == [
        ApplicationFile.objects.get().storage_name
    ]


def test_death_between_the_commit_and_the_answer_is_answered_by_the_repeated_request(
    student, bearer, state_dir
):
    send_and_die(student, state_dir, at="applications.api._accepted", when="before")
    application = Application.objects.get()
    assert Outbox.objects.filter(aggregate_id=application.pk).count() == 3

    response = send_again(bearer)

    assert (response.status_code, response["Idempotency-Replayed"]) == (202, "true")
    assert response.json()["applicationId"] == str(application.pk)
    assert Application.objects.count() == 1
    assert stored_files(state_dir / "files") == [PDF_HEAD]
