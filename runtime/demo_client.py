"""A student's client: what the demo does through the public HTTP API, and nothing else."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urljoin

import httpx

from runtime.exceptions import RuntimeProblem
from runtime.sample_documents import REFERENCE, TRANSCRIPT, pdf

TIMEOUT_SECONDS = 10.0
# A demo is watched: it does not wait as long as Retry-After asks other clients to.
LONGEST_PAUSE_SECONDS = 0.2


class DemoClient:
    """One signed-in student with one application. `status` is the last status document."""

    def __init__(self, address: str) -> None:
        # Not through a proxy that the environment may name.
        self._http = httpx.Client(base_url=address, timeout=TIMEOUT_SECONDS, trust_env=False)
        self._etag = ""
        self._status_url = self._pay_url = ""
        self.status: dict[str, Any] = {}

    def sign_in(self, email: str, password: str) -> None:
        answer = self._http.post("/auth/token", json={"email": email, "password": password})
        token = _expect(answer, 200).json()["access"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def submit(self) -> float:
        """Send an application with two documents; return the seconds until its 202."""
        answer = self._http.post(
            "/applications",
            headers={"Idempotency-Key": str(uuid.uuid4())},
            data={"personalStatement": "I want to learn how queues keep their promises."},
            files=[
                ("files", ("transcript.pdf", pdf(TRANSCRIPT), "application/pdf")),
                ("files", ("reference.pdf", pdf(REFERENCE), "application/pdf")),
            ],
        )
        document = _expect(answer, 202).json()
        self._status_url, self._pay_url = document["statusUrl"], document["payUrl"]
        return answer.elapsed.total_seconds()

    def follow(self) -> float:
        """Ask for the status, if it has changed; return the seconds to wait before asking again."""
        answer = self._http.get(self._status_url, headers={"If-None-Match": self._etag})
        if answer.status_code != httpx.codes.NOT_MODIFIED:
            self.status = _expect(answer, 200).json()
            self._etag = answer.headers["ETag"]
        asked = float(answer.headers.get("Retry-After", LONGEST_PAUSE_SECONDS))
        return min(asked, LONGEST_PAUSE_SECONDS)

    def pay(self) -> str:
        """Open the checkout and pay on the provider's page; return that page's address."""
        answer = _expect(self._http.post(self._pay_url), 303)
        page = urljoin(str(answer.url), answer.headers["Location"])
        # The provider is somebody else: it never sees the student's token.
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as browser:
            _expect(browser.get(page), 200)
            _expect(browser.post(f"{page}/pay"), 303)
        return page

    def close(self) -> None:
        self._http.close()


def _expect(answer: httpx.Response, status: int) -> httpx.Response:
    if answer.status_code != status:
        raise RuntimeProblem(
            f"{answer.request.method} {answer.url} answered {answer.status_code}, "
            f"not {status}:\n{answer.text[:2000]}"
        )
    return answer
