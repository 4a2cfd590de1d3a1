"""All settings of Sluice, in one file; what differs between machines comes from the environment.

`README.md` lists the variables. `config.env` stops the start at a missing or wrong one.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONE, SELF
from django.templatetags.static import static

from config import env

BASE_DIR = Path(__file__).resolve().parent.parent
# Where an embedded system keeps its data: documents, mails, collected static files.
STATE_DIR = Path(env.text("STATE_DIR", str(BASE_DIR / ".state"))).resolve()

SECRET_KEY = env.text("SECRET_KEY")
DEBUG = env.flag("DEBUG", default=False)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
# The address that people reach the site at; links in mails and from the payment provider use it.
BASE_URL = env.text("BASE_URL", "http://127.0.0.1:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = [BASE_URL]
CSRF_FAILURE_VIEW = "config.problems.csrf_failure"

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "django_q",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts",
    "outbox",
    "applications",
    "payments",
    "notifications",
]

MIDDLEWARE = [
    "config.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False  # the contract has no trailing slashes

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database -------------------------------------------------------------------------------
DATABASES = {
    "default": dj_database_url.parse(
        env.text("DATABASE_URL"),
        # Kept connections: django-q2 otherwise opens one for every task.
        conn_max_age=600,
        conn_health_checks=True,
    )
}
# A transaction that stands idle this long is rolled back by PostgreSQL. The read model of the
# status relies on it: a writer's mark in the cache (STATUS_MARK_SECONDS) must outlive its commit.
IDLE_TRANSACTION_SECONDS = 5
# A statement that waits this long for a lock fails. All our locks are short, so the one who holds
# it hangs; and a worker that was killed leaves its session waiting with locks of its own.
LOCK_SECONDS = 5
DATABASES["default"]["OPTIONS"] = {
    **DATABASES["default"].get("OPTIONS", {}),
    "options": (
        f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_SECONDS}s"
        f" -c lock_timeout={LOCK_SECONDS}s"
    ),
    # A statement that a connection runs again and again is planned once: planning is most of the
    # time of the outbox's statements.
    "server_side_binding": True,
    "prepare_threshold": 5,
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis ----------------------------------------------------------------------------------
REDIS_URL = env.text("REDIS_URL")
# Redis is a help, never the truth: a caller waits this long for it and then goes on without.
REDIS_TIMEOUT_SECONDS = 0.5
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
    }
}

# --- Outbox, queues, clusters ---------------------------------------------------------------
WORKERS_PER_QUEUE = env.number("WORKERS_PER_QUEUE", 2, minimum=1)
# A queue may have `rate_per_second` too: for a provider that allows only so many calls.
OUTBOX_QUEUES: dict[str, dict[str, float]] = {
    "verify_document": {"max_attempts": 3, "backoff_seconds": 2, "timeout_seconds": 10},
    "create_payment": {"max_attempts": 3, "backoff_seconds": 2, "timeout_seconds": 10},
    # What the provider tells us asks it nothing, so it must not wait for it to answer again.
    "apply_payment_event": {"max_attempts": 3, "backoff_seconds": 2, "timeout_seconds": 10},
    "send_email": {"max_attempts": 2, "backoff_seconds": 1, "timeout_seconds": 10},
}
# Delivered rows and their attempts are deleted after this.
OUTBOX_RETENTION_DAYS = env.number("OUTBOX_RETENTION_DAYS", 30, minimum=1)
# New work is refused while a queue's backlog is worth more than this at its measured drain.
OUTBOX_MAX_BACKLOG_SECONDS = env.number("OUTBOX_MAX_BACKLOG_SECONDS", 24 * 3600, minimum=1)
# Where staff see all about what a row is about: takes the row's `aggregate_id`.
OUTBOX_AGGREGATE_VIEW = "application-trace"
# django-q2's own time limit only backs up the one that delivery sets for each attempt: it kills
# a worker that hangs where Python's signal handler never runs.
CLUSTER_TIMEOUT_SECONDS = 20
RELAY_CLUSTER_TIMEOUT_SECONDS = 600
Q_CLUSTER = {
    "name": "sluice",
    "broker_class": "outbox.broker.OutboxBroker",
    "redis": REDIS_URL,
    "save_limit": -1,  # successes are not saved: the attempt in PostgreSQL is the record
    "workers": WORKERS_PER_QUEUE,
    "queue_limit": 1,  # ids held in process memory are out of reach for priorities
    "guard_cycle": 1,  # a whole number of these must fit into the time limit, or it is never seen
    "recycle": 5000,
    "timeout": CLUSTER_TIMEOUT_SECONDS,
    "retry": CLUSTER_TIMEOUT_SECONDS + 1,
    "scheduler": False,
    "label": "Django Q",
    "ALT_CLUSTERS": {
        "relay": {
            "workers": 2,  # a run and its successor overlap
            "scheduler": True,
            "catch_up": False,
            "timeout": RELAY_CLUSTER_TIMEOUT_SECONDS,
            "retry": RELAY_CLUSTER_TIMEOUT_SECONDS + 1,
        },
        **{queue: {} for queue in OUTBOX_QUEUES},
    },
}

# Functions that the relay's cluster runs from time to time.
PERIODIC_TASKS = {
    "sweep files and keys": {"func": "applications.maintenance.sweep", "minutes": 60},
    "check payments": {"func": "payments.reconciliation.publish_checks", "minutes": 1},
    "prune delivered rows": {"func": "outbox.retention.prune", "minutes": 10},
}

# --- Accounts -------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "application-list"
LOGOUT_REDIRECT_URL = "home"

# --- API ------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        "accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.problems.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=30),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Sluice",
    "DESCRIPTION": "Submit student applications and follow them until they are completed.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "ApplicationStatus": "applications.models.Status",
        "DocumentState": "applications.models.DocumentsState",
        "PaymentState": "applications.models.PaymentState",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.schema.document_problems",
    ],
}

# --- Applications ---------------------------------------------------------------------------
PERSONAL_STATEMENT_MAX_LENGTH = 20_000
MAX_FILES = 5
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_TOTAL_FILE_BYTES = 25 * 1024 * 1024
# What the other parts of a multipart body may add to its files: text fields and boundaries.
MAX_FORM_OVERHEAD_BYTES = 256 * 1024
# A file that no row names is swept after this time: long enough for any running submission.
ORPHAN_FILE_HOURS = 24
IDEMPOTENCY_KEY_MAX_LENGTH = 255
IDEMPOTENCY_KEY_HOURS = 24
# How long a request waits for an unfinished one with the same key before it answers 409.
IDEMPOTENCY_WAIT_SECONDS = 2
APPLICATION_FEE_AMOUNT = 5000  # minor units
APPLICATION_FEE_CURRENCY = "USD"

# New applications are refused while the disk of their documents has less room than this.
MIN_FREE_DISK_BYTES = env.number("MIN_FREE_DISK_BYTES", 1024**3, minimum=0)
# How long a client should wait then: somebody has to make room.
FULL_DISK_RETRY_SECONDS = 300

STATUS_CACHE_SECONDS = 60
# A writer marks the entry before its commit; see applications.read_model for the race it closes.
STATUS_MARK_SECONDS = 2 * IDLE_TRANSACTION_SECONDS
# A reader that needs longer than this from reading the row to filling the cache does not fill it.
STATUS_FILL_SECONDS = 1

DATA_UPLOAD_MAX_NUMBER_FILES = MAX_FILES + 1  # one too many still gets its own clear error
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_FORM_OVERHEAD_BYTES
FILE_UPLOAD_HANDLERS = ["applications.uploads.StagingUploadHandler"]

STORAGES = {
    "default": {
        "BACKEND": "applications.storage.DurableFileSystemStorage",
        "OPTIONS": {"location": STATE_DIR / "files"},
    },
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedStaticFilesStorage",
    },
}

# A malware scanner: clamd's address, `host:port` or the path of its socket; empty for none.
CLAMD_ADDRESS = env.text("CLAMD_ADDRESS", "")

# --- Payments -------------------------------------------------------------------------------
PAYMENT_PROVIDER = env.text("PAYMENT_PROVIDER", "sandbox")
SANDBOX_URL = env.text("SANDBOX_URL", "http://127.0.0.1:8001").rstrip("/")
SANDBOX_API_KEY = env.text("SANDBOX_API_KEY", "")
# More than one while a secret is changed: a webhook signed with any of them is believed.
SANDBOX_WEBHOOK_SECRETS = env.words("SANDBOX_WEBHOOK_SECRET", "")
STRIPE_URL = env.text("STRIPE_URL", "https://api.stripe.com").rstrip("/")
STRIPE_API_KEY = env.text("STRIPE_API_KEY", "")
STRIPE_WEBHOOK_SECRETS = env.words("STRIPE_WEBHOOK_SECRETS", "")

# Where students pay: the browser is sent there from a form of ours. Both, because a payment stays
# with its provider when the setting changes.
CHECKOUT_ORIGINS = [SANDBOX_URL, "https://checkout.stripe.com"]

# --- Mail -----------------------------------------------------------------------------------
DEFAULT_FROM_EMAIL = env.text("MAIL_FROM", "Sluice Admissions <admissions@example.com>")
EMAIL_HOST = env.text("EMAIL_HOST", "")
EMAIL_PORT = env.number("EMAIL_PORT", 25, minimum=1)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=False)  # STARTTLS, usually on port 587
EMAIL_USE_SSL = env.flag("EMAIL_USE_SSL", default=False)  # from the first byte, usually port 465
EMAIL_TIMEOUT = 5  # shorter than an attempt: a hanging server must not use up its time
EMAIL_BACKEND = env.text(
    "EMAIL_BACKEND",
    "django.core.mail.backends.smtp.EmailBackend"
    if EMAIL_HOST
    else "django.core.mail.backends.filebased.EmailBackend",
)
EMAIL_FILE_PATH = STATE_DIR / "mail"
# The settings of a provider whose API is used through one of django-anymail's backends.
ANYMAIL = {"REQUESTS_TIMEOUT": EMAIL_TIMEOUT, **env.json_object("ANYMAIL")}

# --- Pages ----------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
FORMAT_MODULE_PATH = ["config.formats"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]

SECURE = urlsplit(BASE_URL).scheme == "https"
SESSION_COOKIE_SECURE = SECURE
CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/admin/"],  # unfold's pages use inline scripts
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        # The browser follows the redirect to the hosted checkout from a form of ours.
        "form-action": [SELF, *CHECKOUT_ORIGINS],
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        # A line for every task would say what the attempts say better.
        "django-q": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "pikepdf": {"level": "WARNING"},
        "stripe": {"level": "WARNING"},
    },
}

UNFOLD = {
    "SITE_TITLE": "Sluice",
    "SITE_HEADER": "Sluice",
    "SITE_SUBHEADER": "Admissions",
    "SITE_URL": "/",
    "SITE_ICON": lambda request: static("sluice/icon.svg"),
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("sluice/icon.svg"),
        }
    ],
    "STYLES": [lambda request: static("sluice/admin.css")],
    "SIDEBAR": {"navigation": "config.navigation.sidebar"},
    "DASHBOARD_CALLBACK": "config.navigation.first_page",
    "COLORS": {
        # The blue of the student's pages.
        "primary": {
            "50": "#eff5fd",
            "100": "#dce9fa",
            "200": "#bfd7f6",
            "300": "#93bcf0",
            "400": "#7db1ff",
            "500": "#4a86df",
            "600": "#1a56b0",
            "700": "#14458f",
            "800": "#153c78",
            "900": "#163565",
            "950": "#102141",
        },
    },
}
