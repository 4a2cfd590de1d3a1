"""The shapes of the API, for documentation and output; `validation` has the rules."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from applications.models import (
    Application,
    ApplicationFile,
    DocumentsState,
    EventType,
    PaymentState,
    Status,
)
from applications.verification.report import Verdict
from outbox.models import Priority


class SubmissionSerializer(serializers.Serializer[Any]):
    personalStatement = serializers.CharField(max_length=settings.PERSONAL_STATEMENT_MAX_LENGTH)
    files = serializers.ListField(
        child=serializers.FileField(),
        required=False,
        max_length=settings.MAX_FILES,
        help_text="PDF, JPEG or PNG; at most 10 MiB each and 25 MiB together.",
    )
    priority = serializers.ChoiceField(
        choices=Priority.choices, required=False, help_text="Staff only; 0 is the most urgent."
    )


class AcceptedSerializer(serializers.Serializer[Any]):
    applicationId = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Status.choices)
    progress = serializers.IntegerField(min_value=0, max_value=100)
    statusUrl = serializers.CharField()
    payUrl = serializers.CharField()


class ReplacementSerializer(serializers.Serializer[Any]):
    file = serializers.FileField(help_text="PDF, JPEG or PNG; at most 10 MiB.")


class AcceptedReplacementSerializer(AcceptedSerializer):
    fileId = serializers.UUIDField(help_text="The id of the new version.")


class WithdrawnSerializer(serializers.Serializer[Any]):
    applicationId = serializers.UUIDField(source="id")
    status = serializers.ChoiceField(choices=Status.choices)
    progress = serializers.IntegerField(min_value=0, max_value=100)
    statusUrl = serializers.SerializerMethodField()

    def get_statusUrl(self, application: Application) -> str:
        return f"/applications/{application.id}/status"


class CheckSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in Verdict])
    detail = serializers.CharField()


class DocumentSerializer(serializers.Serializer[Any]):
    fileId = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=DocumentsState.choices)
    checks = CheckSerializer(many=True)
    replaceUrl = serializers.CharField(
        allow_null=True, help_text="Where a new version can be sent; null if none is needed."
    )
    contentUrl = serializers.CharField(
        allow_null=True,
        help_text="Where it can be downloaded; null until a malware scanner has found it clean.",
    )


class PaymentSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=PaymentState.choices)
    amount = serializers.IntegerField(help_text="In minor units.")
    currency = serializers.CharField(help_text="ISO 4217.")
    payUrl = serializers.CharField()


class TimelineEntrySerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    event = serializers.ChoiceField(choices=EventType.choices)
    detail = serializers.CharField(allow_null=True)


class StatusSerializer(serializers.Serializer[Any]):
    applicationId = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Status.choices)
    progress = serializers.IntegerField(min_value=0, max_value=100)
    terminal = serializers.BooleanField()
    version = serializers.IntegerField()
    updatedAt = serializers.DateTimeField()
    nextAction = serializers.ChoiceField(choices=["replace_document", "pay"], allow_null=True)
    eta = serializers.DateTimeField(
        allow_null=True, help_text="When the next step is expected; null if that is not known."
    )
    withdrawUrl = serializers.CharField(
        allow_null=True, help_text="Where the application can be withdrawn; null once it has ended."
    )
    documents = DocumentSerializer(many=True)
    payment = PaymentSerializer()
    timeline = TimelineEntrySerializer(many=True)


class ApplicationFileSerializer(serializers.ModelSerializer[ApplicationFile]):
    fileId = serializers.UUIDField(source="id")
    contentType = serializers.CharField(source="content_type")

    class Meta:
        model = ApplicationFile
        fields = ["fileId", "name", "contentType", "size", "sha256", "state"]


class ApplicationSummarySerializer(serializers.ModelSerializer[Application]):
    applicationId = serializers.UUIDField(source="id")
    createdAt = serializers.DateTimeField(source="created_at")
    updatedAt = serializers.DateTimeField(source="updated_at")
    statusUrl = serializers.SerializerMethodField()

    class Meta:
        model = Application
        fields = ["applicationId", "status", "progress", "createdAt", "updatedAt", "statusUrl"]

    def get_statusUrl(self, application: Application) -> str:
        return f"/applications/{application.id}/status"


class ApplicationSerializer(ApplicationSummarySerializer):
    personalStatement = serializers.CharField(source="personal_statement")
    files = ApplicationFileSerializer(many=True)

    class Meta(ApplicationSummarySerializer.Meta):
        fields = [*ApplicationSummarySerializer.Meta.fields, "personalStatement", "files"]
