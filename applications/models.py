"""An application, its files, what happened to it, and the keys of its submission."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models import Priority


class DocumentsState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    VERIFYING = "verifying", _("being checked")
    VERIFIED = "verified", _("verified")
    FAILED = "failed", _("needs your attention")
    NEEDS_REVIEW = "needs_review", _("looked at by our staff")


# States of a document that its student may replace.
REPLACEABLE = frozenset({DocumentsState.FAILED, DocumentsState.NEEDS_REVIEW})


class PaymentState(models.TextChoices):
    NONE = "none", _("not started")
    PROCESSING = "processing", _("being prepared")
    AWAITING = "awaiting", _("due")
    PAID = "paid", _("paid")
    FAILED = "failed", _("declined")
    REFUNDED = "refunded", _("refunded")


# Facts that say that the next step is ours.
DOCUMENTS_IN_WORK = models.Q(documents__in=[DocumentsState.WAITING, DocumentsState.VERIFYING])
PAYMENT_IN_WORK = models.Q(payment__in=[PaymentState.NONE, PaymentState.PROCESSING])


class Status(models.TextChoices):
    SUBMITTED = "submitted", _("submitted")
    VERIFYING = "verifying", _("verifying documents")
    VERIFIED = "verified", _("documents verified")
    PROCESSING_PAYMENT = "processing_payment", _("preparing the payment")
    AWAITING_PAYMENT = "awaiting_payment", _("fee due")
    PAYMENT_INITIATED = "payment_initiated", _("payment started")
    VERIFICATION_FAILED = "verification_failed", _("a document needs your attention")
    COMPLETED = "completed", _("completed")
    WITHDRAWN = "withdrawn", _("withdrawn")


TERMINAL_STATUSES = frozenset({Status.COMPLETED, Status.WITHDRAWN})


class Application(models.Model):
    """A student's application.

    `documents`, `payment`, `checkout_opened` and `withdrawn_at` are facts; `status` and `progress`
    follow from them and are written by `applications.progress` only. `version` rises with every
    change.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    student = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="applications"
    )
    personal_statement = models.TextField(_("personal statement"))
    priority = models.SmallIntegerField(_("priority"), choices=Priority, default=Priority.NORMAL)
    fee_amount = models.PositiveIntegerField(_("fee"), help_text=_("In minor units."))
    fee_currency = models.CharField(_("currency"), max_length=3)

    documents = models.CharField(
        _("documents"), max_length=15, choices=DocumentsState, default=DocumentsState.WAITING
    )
    payment = models.CharField(
        _("payment"), max_length=15, choices=PaymentState, default=PaymentState.NONE
    )
    checkout_opened = models.BooleanField(_("checkout opened"), default=False)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True, blank=True)

    status = models.CharField(_("status"), max_length=25, choices=Status)
    progress = models.PositiveSmallIntegerField(_("progress"))
    version = models.PositiveIntegerField(_("version"), default=1)
    created_at = models.DateTimeField(_("submitted"), db_default=Now())
    updated_at = models.DateTimeField(_("changed"), db_default=Now())

    class Meta:
        verbose_name = _("application")
        verbose_name_plural = _("applications")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(progress__lte=100), name="application_progress_is_percent"
            ),
        ]
        indexes = [
            # Read by "my applications", newest first.
            models.Index(fields=["student", "-created_at", "-id"], name="application_of_student"),
            models.Index(fields=["-created_at", "-id"], name="application_newest"),
            # Read by gauges.lost_applications.
            models.Index(
                fields=["id"],
                condition=DOCUMENTS_IN_WORK | PAYMENT_IN_WORK,
                name="application_in_work",
            ),
            # Read by payments.gauges.kept_fees.
            models.Index(
                fields=["id"],
                condition=models.Q(withdrawn_at__isnull=False, payment=PaymentState.PAID),
                name="application_to_be_paid_back",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class FileQuerySet(models.QuerySet["ApplicationFile"]):
    def current(self) -> FileQuerySet:
        """Return the files that count: each in its newest version."""
        return self.filter(replaced_at=None)


class ApplicationFile(models.Model):
    """One version of a document and the report of its checks.

    A replacement is a row of its own at the same position, with the next version; the one that it
    replaces keeps its content and report. `checks` is a list of {code, verdict, detail}; verdicts
    are passed, failed, needs_review and not_checked, and `detail` is a sentence for the student.
    `text` is what could be read in the document, from its text layer or by OCR.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="files")
    position = models.PositiveSmallIntegerField(_("position"))
    version = models.PositiveSmallIntegerField(_("version"), default=1, db_default=1)
    replaced_at = models.DateTimeField(_("replaced"), null=True, blank=True)
    name = models.CharField(_("name"), max_length=150)
    content_type = models.CharField(_("type"), max_length=50)
    declared_type = models.CharField(
        _("type as it was declared"), max_length=255, blank=True, default="", db_default=""
    )
    size = models.PositiveIntegerField(_("bytes"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    storage_name = models.CharField(_("stored as"), max_length=100, unique=True)
    state = models.CharField(
        _("state"), max_length=15, choices=DocumentsState, default=DocumentsState.WAITING
    )
    checks = models.JSONField(_("checks"), default=list)
    pages = models.PositiveSmallIntegerField(_("pages"), default=0, db_default=0)
    text = models.TextField(_("text"), blank=True, default="", db_default="")
    name_found = models.BooleanField(_("bears the student's name"), null=True, blank=True)
    created_at = models.DateTimeField(_("uploaded"), db_default=Now())

    objects = FileQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["application_id", "position", "version"]
        permissions = [
            ("download_applicationfile", "Can download document"),
            ("review_applicationfile", "Can decide about document"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["application", "position", "version"], name="application_file_version"
            ),
            # Two replacements of one file at the same time: one of them finds it replaced.
            models.UniqueConstraint(
                fields=["application", "position"],
                condition=models.Q(replaced_at=None),
                name="application_file_one_current",
            ),
        ]
        indexes = [
            # Read by the staff's list of documents to decide about, oldest first.
            models.Index(
                fields=["created_at", "id"],
                condition=models.Q(state="needs_review", replaced_at=None),
                name="application_file_to_review",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_scanned(self) -> bool:
        """Whether a malware scanner has found it clean: only then it may be downloaded."""
        return any(
            check["code"] == "malware" and check["verdict"] == "passed" for check in self.checks
        )


class DocumentReview(models.Model):
    """What a member of staff decided about a document that the checks left to a person."""

    class Decision(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")
        REJECTED = "rejected", _("rejected")

    file = models.OneToOneField(
        ApplicationFile, on_delete=models.CASCADE, related_name="review", verbose_name=_("document")
    )
    decision = models.CharField(_("decision"), max_length=10, choices=Decision)
    reason = models.CharField(_("reason"), max_length=500)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    at = models.DateTimeField(_("at"), db_default=Now())

    class Meta:
        verbose_name = _("decision about a document")
        verbose_name_plural = _("decisions about documents")

    def __str__(self) -> str:
        return f"{self.file}: {self.get_decision_display()}"


class DocumentAccess(models.Model):
    """A member of staff looked into a student's document."""

    class Kind(models.TextChoices):
        VIEWED = "viewed", _("viewed")
        DOWNLOADED = "downloaded", _("downloaded")

    file = models.ForeignKey(
        ApplicationFile,
        on_delete=models.CASCADE,
        related_name="accesses",
        verbose_name=_("document"),
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    at = models.DateTimeField(_("at"), db_default=Now())

    class Meta:
        verbose_name = _("access to a document")
        verbose_name_plural = _("accesses to documents")
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.file}: {self.get_kind_display()}"


class EventType(models.TextChoices):
    SUBMITTED = "submitted", _("We received your application")
    VERIFICATION_STARTED = "verification_started", _("We started to check your documents")
    DOCUMENT_VERIFIED = "document_verified", _("A document passed its checks")
    DOCUMENT_REJECTED = "document_rejected", _("A document did not pass its checks")
    DOCUMENT_LEFT_TO_STAFF = "document_left_to_staff", _("Our staff will look at a document")
    DOCUMENT_REPLACED = "document_replaced", _("You replaced a document")
    PAYMENT_STARTED = "payment_started", _("We are preparing your payment")
    PAYMENT_REQUESTED = "payment_requested", _("The application fee can be paid")
    CHECKOUT_OPENED = "checkout_opened", _("You opened the payment page")
    PAYMENT_DECLINED = "payment_declined", _("The payment was declined")
    PAYMENT_RECEIVED = "payment_received", _("We received your payment")
    PAYMENT_REFUNDED = "payment_refunded", _("We paid your fee back")
    REFUND_FAILED = "refund_failed", _("Your fee came back to us; our staff take care of it")
    COMPLETED = "completed", _("Your application is complete")
    WITHDRAWN = "withdrawn", _("You withdrew your application")


class ApplicationEvent(models.Model):
    """A line of the timeline that the student sees."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(_("at"), db_default=Now())
    event = models.CharField(_("event"), max_length=25, choices=EventType)
    detail = models.CharField(_("detail"), max_length=200, blank=True, default="")

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["application_id", "id"]

    def __str__(self) -> str:
        return self.event


class IdempotencyKey(models.Model):
    """A client's key and the answer that a repeated request gets again.

    Written in the transaction of the submission: no row, no application, and the other way round.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    route = models.CharField(max_length=150, help_text=_("Method and path."))
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    answer = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "route", "key"], name="idempotency_key_of_user"
            ),
        ]
        indexes = [
            # Read by the clean-up.
            models.Index(fields=["expires_at"], name="idempotency_key_expiry"),
        ]

    def __str__(self) -> str:
        return self.key
