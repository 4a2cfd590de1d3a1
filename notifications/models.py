"""The mails of an application: those that went out, and those that could not be sent."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from applications.models import Application

ERROR_MAX_LENGTH = 500


class Occasion(models.TextChoices):
    RECEIVED = "received", _("application received")
    ACTION_NEEDED = "action_needed", _("a document needs attention")
    PAY_NOW = "pay_now", _("fee due")
    PAYMENT_FAILED = "payment_failed", _("payment declined")
    COMPLETED = "completed", _("application complete")
    WITHDRAWN = "withdrawn", _("application withdrawn")
    REFUNDED = "refunded", _("money paid back")


class MailState(models.TextChoices):
    SENT = "sent", _("sent")  # a server has accepted it
    NOT_SENT = "not_sent", _("not sent")  # given up: its outbox row is a dead letter


class MailQuerySet(models.QuerySet["Mail"]):
    def sent(self) -> MailQuerySet:
        """Mails that a server has accepted."""
        return self.filter(state=MailState.SENT)


class Mail(models.Model):
    """One mail for each application, occasion and thing that it is about.

    `about` is the file of ACTION_NEEDED, the number of the checkout of PAYMENT_FAILED, the charge of
    REFUNDED, and empty for occasions that an application has once. `error` is why a mail was not
    sent; it becomes `sent` when staff retry its dead letter and a server accepts it.
    """

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="mails")
    occasion = models.CharField(_("occasion"), max_length=20, choices=Occasion)
    about = models.CharField(_("about"), max_length=40, blank=True, default="", db_default="")
    recipient = models.EmailField(_("to"))
    subject = models.CharField(_("subject"), max_length=200)
    message_id = models.CharField(_("Message-ID"), max_length=200)
    state = models.CharField(
        _("state"),
        max_length=10,
        choices=MailState,
        default=MailState.SENT,
        db_default=MailState.SENT,
    )
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True, db_default=Now())
    error = models.CharField(
        _("why it was not sent"), max_length=ERROR_MAX_LENGTH, blank=True, default="", db_default=""
    )

    objects = MailQuerySet.as_manager()

    class Meta:
        verbose_name = _("mail")
        verbose_name_plural = _("mails")
        constraints = [
            models.UniqueConstraint(
                fields=["application", "occasion", "about"], name="mail_once_per_occasion"
            ),
            models.CheckConstraint(
                condition=models.Q(state="sent", sent_at__isnull=False, error="")
                | models.Q(state="not_sent", sent_at__isnull=True),
                name="mail_sent_has_time",
            ),
        ]

    def __str__(self) -> str:
        return self.subject
