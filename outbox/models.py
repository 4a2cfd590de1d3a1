"""The outbox row, its attempts, what staff did to it, and the runs of the relay.

The row is the truth about a piece of work; Redis only carries its id. All times are PostgreSQL's.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class State(models.TextChoices):
    PENDING = "pending", _("pending")  # waits in PostgreSQL until it is due
    QUEUED = "queued", _("queued")  # its id was handed to Redis
    PROCESSING = "processing", _("processing")  # a worker holds its lease
    DELIVERED = "delivered", _("delivered")  # the handler's effects are committed
    DEAD = "dead", _("dead")  # gave up; staff retry or discard it
    DISCARDED = "discarded", _("discarded")  # dropped by a named person


UNFINISHED_STATES = (State.PENDING, State.QUEUED, State.PROCESSING)


class DeadReason(models.TextChoices):
    EXHAUSTED = "exhausted", _("attempts used up")
    PERMANENT = "permanent", _("retrying can't help")
    STALLED = "stalled", _("its worker died on the last attempt")
    UNKNOWN_EVENT = "unknown_event", _("no such handler")


class Priority(models.IntegerChoices):
    CRITICAL = 0, _("critical")
    HIGH = 1, _("high")
    NORMAL = 2, _("normal")
    LOW = 3, _("low")


class OutboxQuerySet(models.QuerySet["Outbox"]):
    def due(self) -> OutboxQuerySet:
        """Rows that may be queued now."""
        return self.filter(state=State.PENDING, available_at__lte=Now())

    def unfinished(self) -> OutboxQuerySet:
        """Rows that somebody or something still has to work on."""
        return self.filter(state__in=UNFINISHED_STATES)

    def dead(self) -> OutboxQuerySet:
        """Dead letters."""
        return self.filter(state=State.DEAD)


class Outbox(models.Model):
    """One piece of work for one handler, written in the transaction of the change it follows."""

    event_type = models.CharField(_("event type"), max_length=100)
    handler = models.CharField(_("handler"), max_length=100)
    queue = models.CharField(_("queue"), max_length=50)
    priority = models.SmallIntegerField(
        _("priority"), choices=Priority, default=Priority.NORMAL, db_default=Priority.NORMAL
    )
    payload = models.JSONField(_("payload"), default=dict)
    # The business object that the work is about: an application's id.
    aggregate_id = models.UUIDField(_("application"), null=True, blank=True)
    dedupe_key = models.CharField(_("dedupe key"), max_length=200, null=True, blank=True)  # noqa: DJ001 - NULL is not unique
    request_id = models.CharField(_("request"), max_length=64, blank=True, default="")

    state = models.CharField(
        _("state"), max_length=10, choices=State, default=State.PENDING, db_default=State.PENDING
    )
    created_at = models.DateTimeField(_("created"), db_default=Now())
    available_at = models.DateTimeField(_("due"), db_default=Now())
    queued_at = models.DateTimeField(_("queued"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    # The attempt that runs, or the last one; its record is written when it ends.
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    attempt_count = models.PositiveIntegerField(_("attempts"), default=0, db_default=0)
    max_attempts = models.PositiveIntegerField(_("attempts allowed"))
    # Kept after the end, so that a worker whose commit was cut off can see that it succeeded.
    lease_token = models.UUIDField(_("lease"), null=True, blank=True)
    lease_expires_at = models.DateTimeField(_("lease expires"), null=True, blank=True)
    worker = models.CharField(_("worker"), max_length=100, blank=True, default="", db_default="")
    dead_reason = models.CharField(
        _("dead reason"), max_length=20, choices=DeadReason, blank=True, default="", db_default=""
    )

    objects = OutboxQuerySet.as_manager()

    class Meta:
        db_table = "outbox"
        verbose_name = _("outbox row")
        verbose_name_plural = _("outbox rows")
        constraints = [
            models.UniqueConstraint(
                fields=["handler", "dedupe_key"],
                condition=models.Q(dedupe_key__isnull=False) & ~models.Q(state="discarded"),
                name="outbox_dedupe",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=State.values), name="outbox_state_known"
            ),
            # A list for any other priority would be read by nobody.
            models.CheckConstraint(
                condition=models.Q(priority__in=Priority.values), name="outbox_priority_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="processing")
                | models.Q(lease_token__isnull=False, lease_expires_at__isnull=False),
                name="outbox_processing_is_leased",
            ),
            models.CheckConstraint(
                condition=models.Q(state="dead", dead_reason__in=DeadReason.values)
                | ~models.Q(state="dead") & models.Q(dead_reason=""),
                name="outbox_dead_has_reason",
            ),
        ]
        indexes = [
            # Read by relay.move_due and relay.next_due_seconds: the best due rows of a queue.
            models.Index(
                fields=["queue", "priority", "available_at", "id"],
                condition=models.Q(state="pending"),
                name="outbox_pending",
            ),
            # Read by relay.move_aged. Its condition keeps it out of move_due's plans, which would
            # have to sort the whole backlog.
            models.Index(
                fields=["queue", "available_at"],
                condition=models.Q(state="pending", priority__gt=0),
                name="outbox_aged",
            ),
            # Read by repair.recover_lost.
            models.Index(
                fields=["queue", "queued_at"],
                condition=models.Q(state="queued"),
                name="outbox_queued",
            ),
            # Read by repair.expire_leases, the watchdog and the list of workers.
            models.Index(
                fields=["lease_expires_at"],
                condition=models.Q(state="processing"),
                name="outbox_leased",
            ),
            # Read by the page of dead letters.
            models.Index(
                fields=["-finished_at", "-id"],
                condition=models.Q(state="dead"),
                name="outbox_dead",
            ),
            # Read by retention.prune.
            models.Index(
                fields=["finished_at"],
                condition=models.Q(state="delivered"),
                name="outbox_delivered",
            ),
            # Read by gauges.stray_rows; a constraint keeps it empty.
            models.Index(
                fields=["id"], condition=~models.Q(state__in=State.values), name="outbox_stray"
            ),
            # Read by an application's trace.
            models.Index(fields=["aggregate_id", "id"], name="outbox_aggregate"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} → {self.handler} #{self.pk}"


class Outcome(models.TextChoices):
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")
    TIMED_OUT = "timed_out", _("timed out")
    GIVEN_BACK = "given_back", _("given back")  # its cluster was told to stop
    LEASE_EXPIRED = "lease_expired", _("worker lost")


class Attempt(models.Model):
    """One try to hand a row to its handler, written when it has ended; kept when staff retry."""

    # Without an index of its own: the unique constraint begins with it. And unchecked: attempts are
    # written by the statement that ends the row's attempt, and deleted before the row.
    outbox = models.ForeignKey(
        Outbox,
        on_delete=models.CASCADE,
        related_name="attempts",
        db_index=False,
        db_constraint=False,
    )
    queue = models.CharField(_("queue"), max_length=50, default="", db_default="")
    number = models.PositiveIntegerField(_("number"))
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), db_default=Now())
    worker = models.CharField(_("worker"), max_length=100)
    outcome = models.CharField(_("outcome"), max_length=15, choices=Outcome)
    error_class = models.CharField(
        _("error"), max_length=200, blank=True, default="", db_default=""
    )
    error_message = models.TextField(_("message"), blank=True, default="", db_default="")
    traceback = models.TextField(_("traceback"), blank=True, default="", db_default="")

    class Meta:
        db_table = "outbox_attempt"
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["outbox_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["outbox", "number"], name="outbox_attempt_number"),
        ]
        indexes = [
            # Read by measure.attempts_ended.
            models.Index(fields=["queue", "ended_at"], name="outbox_attempt_ended"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of row {self.outbox_id}"

    @property
    def seconds(self) -> float:
        """How long the attempt took."""
        return (self.ended_at - self.started_at).total_seconds()


class Action(models.TextChoices):
    RETRY = "retry", _("retried")
    DISCARD = "discard", _("discarded")


class StaffAction(models.Model):
    """What a named person did to a dead letter, and why."""

    outbox = models.ForeignKey(Outbox, on_delete=models.CASCADE, related_name="staff_actions")
    action = models.CharField(_("action"), max_length=10, choices=Action)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("by")
    )
    reason = models.CharField(_("reason"), max_length=500)
    at = models.DateTimeField(_("at"), db_default=Now())

    class Meta:
        db_table = "outbox_staff_action"
        verbose_name = _("staff action")
        verbose_name_plural = _("staff actions")
        ordering = ["at"]

    def __str__(self) -> str:
        return f"{self.action} of row {self.outbox_id}"


class RelayRun(models.Model):
    """One run of the relay: it loops until a younger run has taken over."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    worker = models.CharField(_("worker"), max_length=100)
    started_at = models.DateTimeField(_("started"), db_default=Now())
    ticked_at = models.DateTimeField(_("last tick"), db_default=Now())

    class Meta:
        db_table = "outbox_relay_run"
        verbose_name = _("relay run")
        verbose_name_plural = _("relay runs")

    def __str__(self) -> str:
        return f"relay run of {self.worker}"


class QueueControl(models.Model):
    """What holds a queue back: staff, its circuit breaker, its rate limit; and how it was measured.

    A queue without a row is held back by nothing.
    """

    name = models.CharField(_("queue"), max_length=50, primary_key=True)

    paused_at = models.DateTimeField(_("paused"), null=True, blank=True)
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("paused by"),
    )
    pause_reason = models.CharField(
        _("why it is paused"), max_length=500, blank=True, default="", db_default=""
    )

    # The breaker is open from `opened_at` on. From `probe_at` on the relay may queue one row, the
    # probe, whose outcome decides.
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, db_default=0)
    opened_at = models.DateTimeField(_("breaker opened"), null=True, blank=True)
    probe_at = models.DateTimeField(_("next probe"), null=True, blank=True)
    probe_row_id = models.BigIntegerField(_("row that probes"), null=True, blank=True)
    failed_probes = models.PositiveIntegerField(_("failed probes"), default=0, db_default=0)
    cause = models.CharField(_("cause"), max_length=500, blank=True, default="", db_default="")

    # The rate limit: no attempt begins before this.
    next_start_at = models.DateTimeField(_("next start"), null=True, blank=True)

    # Measured by the relay: due rows by priority, most urgent first, and attempts ended per second
    # while there was a backlog. NULL before the first measurement.
    measured_at = models.DateTimeField(_("measured"), null=True, blank=True)
    waiting = ArrayField(models.PositiveIntegerField(), verbose_name=_("waiting"), default=list)
    drain_per_second = models.FloatField(_("drain per second"), null=True, blank=True)

    class Meta:
        db_table = "outbox_queue"
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        permissions = [("pause_queuecontrol", "Can pause and resume queues")]

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """A sign of life of one worker process; what it works on, the leased rows say."""

    name = models.CharField(_("worker"), max_length=100, primary_key=True)
    queue = models.CharField(_("queue"), max_length=50)
    started_at = models.DateTimeField(_("started"), db_default=Now())
    seen_at = models.DateTimeField(_("last seen"), db_default=Now())

    class Meta:
        db_table = "outbox_worker"
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name


class Gauge(models.Model):
    """A number that must be 0, as the relay last found it."""

    name = models.CharField(_("name"), max_length=50, primary_key=True)
    value = models.PositiveIntegerField(_("value"))
    # Some of what was counted, for whoever looks into it.
    examples = models.JSONField(_("examples"), default=list)
    checked_at = models.DateTimeField(_("checked"), db_default=Now())
    # Since when it has not been 0.
    broken_since = models.DateTimeField(_("broken since"), null=True, blank=True)

    class Meta:
        db_table = "outbox_gauge"
        verbose_name = _("gauge")
        verbose_name_plural = _("gauges")

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"


class DeadLetter(Outbox):
    """The rows that gave up, as a page of their own in the admin."""

    class Meta:
        proxy = True
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")
        permissions = [
            ("retry_deadletter", "Can retry dead letters"),
            ("discard_deadletter", "Can discard dead letters"),
        ]
