"""The people who use the system meanwhile: applicants who never give up, and payers."""

from __future__ import annotations

import random
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.applications.documents import encrypted_pdf, pdf
from tests.chaos.world import World

STUDENTS = 4
PAUSE_SECONDS = 0.8  # of each applicant, between two applications
TIMEOUT_SECONDS = 8.0
RETRY_SECONDS = 0.2
# Of the applications whose fee is due so many are paid; the others wait for their student.
PAID_SHARE = 0.7
GOOD, BAD = pdf(), encrypted_pdf(user="secret", owner="secret")
PASSWORD = "a-long-password-for-chaos"


@dataclass
class Load:
    """`accepted` maps each idempotency key that got its 202 to the application's id."""

    world: World
    seed: int
    keys: list[str] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)
    paid: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)  # why somebody gave up all the same
    _owners: dict[str, str] = field(default_factory=dict)  # application → token
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        tokens = [self._register(f"student-{number}@chaos.example") for number in range(STUDENTS)]
        for number, token in enumerate(tokens):
            rng = random.Random(f"{self.seed}-{number}")
            self._run(self._apply_on_and_on, token, rng)
        self._run(self._pay_on_and_on, random.Random(f"{self.seed}-payer"))

    def stop(self) -> None:
        """Let every request that was begun come to its end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def probe(self) -> str:
        """Submit one application with a document, however often it takes; return its id."""
        token = next(iter(self._owners.values()))
        return self._submit(token, [GOOD], uuid.uuid4().hex)

    def _run(self, target: Any, *arguments: Any) -> None:
        def guarded() -> None:
            try:
                target(*arguments)
            except Exception as error:
                self.failures.append(repr(error))

        thread = threading.Thread(target=guarded, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _apply_on_and_on(self, token: str, rng: random.Random) -> None:
        while not self._stop.is_set():
            files = rng.choice([[], [GOOD], [GOOD, GOOD], [GOOD, GOOD, GOOD], [BAD]])
            self._submit(token, files, uuid.UUID(int=rng.getrandbits(128)).hex)
            self._stop.wait(PAUSE_SECONDS)

    def _submit(self, token: str, files: list[bytes], key: str) -> str:
        self.keys.append(key)
        answer = self._until(
            202,
            "POST",
            "/applications",
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
            files=[
                ("personalStatement", (None, "Whatever breaks, I am still here.")),
                *(
                    ("files", (f"{number}.pdf", file, "application/pdf"))
                    for number, file in enumerate(files)
                ),
            ],
        )
        application_id = str(answer.json()["applicationId"])
        self.accepted[key] = application_id
        self._owners[application_id] = token
        return application_id

    def _pay_on_and_on(self, rng: random.Random) -> None:
        seen: set[str] = set()
        while not self._stop.wait(1.0):
            query = "SELECT application_id::text FROM payments_payment WHERE checkout_url <> ''"
            try:
                due = {row[0] for row in self.world.sql(query)} - seen
            except Exception:
                continue  # PostgreSQL is away
            for application_id in sorted(due):
                seen.add(application_id)
                if application_id in self._owners and rng.random() < PAID_SHARE:
                    self._pay(application_id)

    def _pay(self, application_id: str) -> None:
        """Open the checkout and pay on the provider's page, which takes the money once."""
        token = self._owners[application_id]
        answer = self._until(
            303,
            "POST",
            f"/payments/checkout/{application_id}",
            headers={"Authorization": f"Bearer {token}"},
        )
        page = urljoin(str(answer.url), answer.headers["Location"])
        while application_id not in self.paid:
            with (
                suppress(httpx.HTTPError),
                httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as browser,
            ):
                browser.post(f"{page}/pay")
                self.paid.add(application_id)

    def _register(self, email: str) -> str:
        account = {"email": email, "password": PASSWORD, "name": "Chaos"}
        self._until(201, "POST", "/auth/register", json=account)
        answer = self._until(200, "POST", "/auth/token", json=account)
        return str(answer.json()["access"])

    def _until(self, status: int, method: str, path: str, **request: Any) -> httpx.Response:
        """Repeat the request until it is answered as it should be; errors of a system that is
        being broken (no answer, 409, 502, 503) are what a client repeats."""
        while True:
            try:
                with httpx.Client(
                    base_url=self.world.system.address, timeout=TIMEOUT_SECONDS, trust_env=False
                ) as client:
                    answer = client.request(method, path, **request)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code == status:
                return answer
            if answer is not None and answer.status_code not in {409, 500, 502, 503}:
                raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
            time.sleep(RETRY_SECONDS)
