"""The mails that went out."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from applications.models import Application


class Occasion(models.TextChoices):
    RECEIVED = "received", _("application received")
    ACTION_NEEDED = "action_needed", _("a document needs attention")
    PAY_NOW = "pay_now", _("fee due")
    COMPLETED = "completed", _("application complete")


class Mail(models.Model):
    """A mail that a server has accepted: one per application and occasion."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="mails")
    occasion = models.CharField(_("occasion"), max_length=20, choices=Occasion)
    recipient = models.EmailField(_("to"))
    subject = models.CharField(_("subject"), max_length=200)
    message_id = models.CharField(_("Message-ID"), max_length=200)
    sent_at = models.DateTimeField(_("sent"), db_default=Now())

    class Meta:
        verbose_name = _("mail")
        verbose_name_plural = _("mails")
        constraints = [
            models.UniqueConstraint(
                fields=["application", "occasion"], name="mail_once_per_occasion"
            ),
        ]

    def __str__(self) -> str:
        return self.subject
