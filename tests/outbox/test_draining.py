from __future__ import annotations

import os

import pytest

from outbox import draining
from outbox.draining import DrainSignal, drain_reader, is_draining


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is no worker of a cluster, also after the test."""
    monkeypatch.setattr(draining, "_reader", None)


@pytest.fixture
def drain() -> DrainSignal:
    """This process is a cluster's main process."""
    return DrainSignal()


def test_is_draining_outside_a_cluster_is_false():
    assert (drain_reader(), is_draining()) == (None, False)


def test_is_draining_from_when_the_cluster_is_told_to_stop(drain):
    before = is_draining()
    drain.send()

    assert (before, is_draining()) == (False, True)


def test_send_may_be_called_again(drain):
    drain.send()
    drain.send()

    assert is_draining()


def test_forked_worker_sees_the_end_of_the_main_process_and_not_its_own_copy(drain):
    ready, ended = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        before = is_draining()
        os.write(ready[1], b"1")
        os.read(ended[0], 1)
        os._exit(2 * before + is_draining())
    os.read(ready[0], 1)
    drain.send()
    os.write(ended[1], b"1")

    _, status = os.waitpid(pid, 0)

    for end in (*ready, *ended):
        os.close(end)
    assert os.waitstatus_to_exitcode(status) == 1
