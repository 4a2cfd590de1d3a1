"""The API for applications."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import Prefetch
from django.http import FileResponse, Http404
from django.utils.cache import patch_vary_headers
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import (
    ErrorDetail,
    PermissionDenied,
    UnsupportedMediaType,
    ValidationError,
)
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from accounts.requests import request_id, signed_in_user
from applications import documents, idempotency, intake, read_model, selectors, services
from applications.admission import check_disk
from applications.exceptions import FieldError, InvalidSubmission, LengthRequired
from applications.models import Application, ApplicationFile
from applications.parsers import SubmissionParser
from applications.polling import retry_after_seconds
from applications.serializers import (
    AcceptedReplacementSerializer,
    AcceptedSerializer,
    ApplicationSerializer,
    ApplicationSummarySerializer,
    ReplacementSerializer,
    StatusSerializer,
    SubmissionSerializer,
    WithdrawnSerializer,
)
from applications.validation import Draft, check_content_length

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description=(
        "A word of your own, 1 to 255 printable ASCII characters. The same key with the same content "
        "gets the same answer again for 24 hours, and has no second effect."
    ),
)
STATUS_VARY = ["Accept", "Authorization", "Cookie", "Accept-Language"]


class ApplicationCursor(CursorPagination):
    page_size = 20
    max_page_size = 100
    page_size_query_param = "pageSize"
    ordering = ("-created_at", "-id")


class ApplicationsView(ListAPIView[Application]):
    """Submitting an application, and the list of one's own."""

    parser_classes = (SubmissionParser,)
    serializer_class = ApplicationSummarySerializer
    pagination_class = ApplicationCursor

    def get_queryset(self) -> Any:
        return Application.objects.filter(student=signed_in_user(self.request))

    @extend_schema(
        operation_id="listApplications", summary="My applications", tags=["applications"]
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "POST":
            _check_headers(request)

    @extend_schema(
        operation_id="submitApplication",
        summary="Submit an application",
        description=(
            "Stores the application and answers at once; documents, payment and mails are worked "
            "off in the background. Follow `statusUrl`."
        ),
        tags=["applications"],
        request={"multipart/form-data": SubmissionSerializer},
        parameters=[IDEMPOTENCY_KEY],
        responses={
            202: OpenApiResponse(AcceptedSerializer, description="Accepted."),
        },
        examples=[
            OpenApiExample(
                "Accepted",
                value={
                    "applicationId": "5b0c1c1e-7c0f-4a53-9d0e-0b8d2b8e6f5a",
                    "status": "submitted",
                    "progress": 25,
                    "statusUrl": "/applications/5b0c1c1e-7c0f-4a53-9d0e-0b8d2b8e6f5a/status",
                    "payUrl": "/payments/checkout/5b0c1c1e-7c0f-4a53-9d0e-0b8d2b8e6f5a",
                },
                response_only=True,
                status_codes=["202"],
            )
        ],
    )
    def post(self, request: Request) -> Response:
        key = idempotency.read_key(request.headers.get("Idempotency-Key"))
        student = signed_in_user(request)
        draft = Draft.from_form(request.POST, request.FILES)
        try:
            accepted = intake.submit(
                student=student,
                draft=draft,
                claim=idempotency.claim_for(student, key, draft),
                request_id=request_id(request),
            )
        except InvalidSubmission as error:
            raise _as_api_error(error.errors) from error
        return _accepted(accepted, AcceptedSerializer)


def _accepted(accepted: intake.Accepted, serializer: type[Serializer[Any]]) -> Response:
    headers = {"Location": accepted.answer["statusUrl"], "Retry-After": "2"}
    if accepted.replayed:
        headers["Idempotency-Replayed"] = "true"
    body = serializer(accepted.answer).data  # also a replayed one in this order
    return Response(body, status=status.HTTP_202_ACCEPTED, headers=headers)


def _check_headers(request: Request) -> None:
    """Refuse what can be refused before the body is read."""
    if request.content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise UnsupportedMediaType(request.content_type)
    if "Transfer-Encoding" in request.headers:
        raise LengthRequired  # Django would take the body for an empty one
    check_content_length(request.META.get("CONTENT_LENGTH"))
    check_disk()


def _as_api_error(errors: Iterable[FieldError]) -> ValidationError | PermissionDenied:
    detail: dict[str, Any] = {}
    for error in errors:
        if error.code == "staff_only":
            return PermissionDenied(str(error.detail), code=error.code)
        message = ErrorDetail(str(error.detail), code=error.code)
        place = "non_field_errors" if error.index is None else error.index
        detail.setdefault(error.field, {}).setdefault(place, []).append(message)
    return ValidationError(detail)


class ApplicationView(RetrieveAPIView[Application]):
    serializer_class = ApplicationSerializer
    lookup_url_kwarg = "application_id"

    def get_queryset(self) -> Any:
        files = Prefetch("files", ApplicationFile.objects.current())
        return selectors.visible_applications(signed_in_user(self.request)).prefetch_related(files)

    @extend_schema(
        operation_id="retrieveApplication", summary="One application", tags=["applications"]
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class StatusView(APIView):
    @extend_schema(
        operation_id="retrieveStatus",
        summary="How far an application is",
        description="Send the ETag back as If-None-Match; wait Retry-After seconds between two.",
        tags=["applications"],
        responses={
            200: StatusSerializer,
            304: OpenApiResponse(description="Nothing has changed since the given ETag."),
        },
        parameters=[OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER)],
    )
    def get(self, request: Request, application_id: uuid.UUID) -> Response:
        view = read_model.get_visible(application_id, signed_in_user(request))
        if view is None:
            raise Http404
        etag = f'"{view.version}"'
        known = request.headers.get("If-None-Match", "")
        if etag in {tag.strip().removeprefix("W/") for tag in known.split(",")} or known == "*":
            response = Response(status=status.HTTP_304_NOT_MODIFIED)
        else:
            response = Response({**view.document, "eta": None})
        response["ETag"] = etag
        response["Cache-Control"] = "private, no-cache"
        retry_after = retry_after_seconds(view.document)
        if retry_after is not None:
            response["Retry-After"] = str(retry_after)
        patch_vary_headers(response, STATUS_VARY)
        return response


class ReplacementView(APIView):
    """A corrected version of one document."""

    parser_classes = (SubmissionParser,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "POST":
            _check_headers(request)

    @extend_schema(
        operation_id="replaceDocument",
        summary="Replace a document",
        description=(
            "Sends a new version of a document that was not accepted, as the `replaceUrl` of the "
            "status says. It is checked in the background; the other documents keep their verdicts."
        ),
        tags=["applications"],
        request={"multipart/form-data": ReplacementSerializer},
        parameters=[IDEMPOTENCY_KEY],
        responses={202: OpenApiResponse(AcceptedReplacementSerializer, description="Accepted.")},
    )
    def post(self, request: Request, application_id: uuid.UUID, file_id: uuid.UUID) -> Response:
        key = idempotency.read_key(request.headers.get("Idempotency-Key"))
        student = signed_in_user(request)
        selectors.own_file(student, application_id, file_id)
        draft = Draft.from_form(request.POST, request.FILES, field="file")
        try:
            accepted = intake.replace_file(
                application_id=application_id,
                file_id=file_id,
                draft=draft,
                claim=idempotency.claim_for(student, key, draft, route=f"POST {request.path}"),
                request_id=request_id(request),
            )
        except InvalidSubmission as error:
            raise _as_api_error(error.errors) from error
        return _accepted(accepted, AcceptedReplacementSerializer)


class WithdrawalView(APIView):
    """The student's change of mind."""

    @extend_schema(
        operation_id="withdrawApplication",
        summary="Withdraw an application",
        description=(
            "Ends the application; a fee that was paid is paid back in the background. Withdrawing "
            "again changes nothing. A complete application can't be withdrawn."
        ),
        tags=["applications"],
        request=None,
        responses={200: WithdrawnSerializer},
    )
    def post(self, request: Request, application_id: uuid.UUID) -> Response:
        selectors.own_application(signed_in_user(request), application_id)
        application = services.withdraw(
            application_id=application_id, request_id=request_id(request)
        )
        return Response(WithdrawnSerializer(application).data)


class ContentView(APIView):
    """The document itself, for its owner and for staff who may download documents."""

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        """Refuse nobody: a document has the type it has, and only errors are rendered."""
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(
        operation_id="downloadDocument",
        summary="Download a document",
        description="Only a document that a malware scanner has found clean can be downloaded.",
        tags=["applications"],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, application_id: uuid.UUID, file_id: uuid.UUID) -> FileResponse:
        user = signed_in_user(request)
        file = selectors.downloadable_file(user, application_id, file_id)
        response = FileResponse(
            documents.open_for_download(file, user),
            as_attachment=True,
            filename=file.name,
            content_type=file.content_type,
        )
        # A document is a stranger's: it may not run anything in our name.
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "private, no-store"
        return response
