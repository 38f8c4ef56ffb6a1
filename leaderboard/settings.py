"""Django settings. What an operator may change is an environment variable; see docs/settings.md."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path

import dj_database_url

from grader import logs
from grader.assets import hub
from leaderboard.accounts import providers
from leaderboard.core import env

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(env.text("PARETOBOARD_HOME", str(ROOT / "var")))

DEBUG = env.flag("DEBUG", False)
# Without a key, the site still starts from a clone, on this machine only (see ALLOWED_HOSTS); system check
# leaderboard.E001 refuses the built-in key with a public host name.
SECRET_KEY = env.text("SECRET_KEY", "insecure-key-for-this-machine-only-" + "0" * 32)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
SITE_URL = env.text("SITE_URL", "http://localhost:8000").rstrip("/")
SECURE = SITE_URL.startswith("https://")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "leaderboard",
]
MIDDLEWARE = [
    "leaderboard.middleware.LogContext",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "leaderboard.middleware.Compressed",  # outside of it: static files, which are compressed on disk
    "leaderboard.api.error_shape.ErrorShape",  # outside of everything that may refuse
    "leaderboard.middleware.BoundedBodies",  # before any middleware that parses a form
    "leaderboard.middleware.PrivatePages",  # outside sessions, which set Vary: Cookie
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "leaderboard.middleware.FullDisk",  # before the form is searched for a token
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "leaderboard.middleware.SecurityHeaders",
    "leaderboard.middleware.NoNul",
    "leaderboard.api.rate_limits.ApiLimits",
]
ROOT_URLCONF = "leaderboard.urls"
WSGI_APPLICATION = "leaderboard.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "leaderboard.context_processors.site",
            ],
        },
    },
]

# manage.py starts the embedded PostgreSQL and sets DATABASE_URL if the operator set none.
DATABASES = {
    "default": dj_database_url.parse(
        env.text("DATABASE_URL", "postgresql://postgres@localhost/paretoboard"),
        conn_max_age=60,
        conn_health_checks=True,
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.text("REDIS_URL", "redis://localhost:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "paretoboard",
        # A cache that hangs must not hold up a page: it is skipped for a while (core/cache.py).
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 2},
    }
}

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "site"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = (
    None  # the site worker listens again whenever the broker is back
)
# A broker that is down must not hold up a request: the sweeper rings again.
# Kombu would otherwise retry three times, 6 s in all, whatever TASK_PUBLISH_RETRY says.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 2,
    "socket_timeout": 30,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "leaderboard.sweep", "schedule": 15.0, "options": {"expires": 15}},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(HOME / "celerybeat-schedule")

# The worker's lease: lost after LEASE_S without a message; checked and renewed every HEARTBEAT_S.
LEASE_S = float(env.text("LEASE_S", "90"))
HEARTBEAT_S = float(env.text("HEARTBEAT_S", "15"))
MAX_ATTEMPTS = 3

STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(HOME / "uploads"), "file_permissions_mode": 0o600},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# Archives in S3-compatible storage instead of on this disk; uploads in progress stay on the disk.
if bucket := env.text("S3_BUCKET"):
    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": bucket,
            "endpoint_url": env.text("S3_ENDPOINT") or None,
            "region_name": env.text("S3_REGION") or None,
            "access_key": env.text("S3_ACCESS_KEY") or None,
            "secret_key": env.text("S3_SECRET_KEY") or None,
            "location": env.text("S3_PREFIX"),
            "default_acl": None,
            "file_overwrite": True,  # names are random, so the same name means the same bytes
            "querystring_auth": True,
        },
    }
# Free space reserved on the disk, which also holds the database and the logs; uploads cannot use it.
DISK_RESERVE_BYTES = int(env.text("DISK_RESERVE_BYTES", str(1024**3)))
# An upload expires after this long without new bytes.
UPLOAD_EXPIRES_S = float(env.text("UPLOAD_EXPIRES_S", "86400"))
# Entries may name a repository on the Hub instead; the token only raises the Hub's rate limits.
HUB_ENTRIES = env.flag("HUB_ENTRIES", True)
HF_ENDPOINT = env.text("HF_ENDPOINT").rstrip("/") or hub.DEFAULT_ENDPOINT
HF_TOKEN = env.text("HF_TOKEN")
FILE_UPLOAD_HANDLERS = ["leaderboard.storage.disk.ReservingHandler"]
FILE_UPLOAD_TEMP_DIR = str(HOME / "incoming")
CONTEST_ROOTS = [Path(p) for p in env.text("GRADER_CONTESTS").split(os.pathsep) if p]

# Without a mail server, emails go to the log: enough for one machine, not for an event.
EMAIL_HOST = env.text("EMAIL_HOST")
EMAIL_PORT = int(env.text("EMAIL_PORT", "587"))
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_SSL = env.flag("EMAIL_USE_SSL", False)
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", not EMAIL_USE_SSL)
EMAIL_TIMEOUT = 20
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "paretoboard <noreply@localhost>")

# Webhooks go to public https URLs; with this setting, also to http and to the site's own network.
WEBHOOKS_TO_PRIVATE = env.flag("WEBHOOKS_TO_PRIVATE", DEBUG)

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"

ACCOUNT_ADAPTER = "leaderboard.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "leaderboard.accounts.forms.LoginForm",
    "signup": "leaderboard.accounts.forms.SignUpForm",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
# Email addresses must be confirmed through a link wherever emails are sent.
ACCOUNT_EMAIL_VERIFICATION = env.text("EMAIL_VERIFICATION") or (
    "mandatory" if EMAIL_HOST else "optional"
)
# Also where addresses need no confirmation, sign-up does not say whether one is known: several unconfirmed
# accounts may then have the same.
ACCOUNT_PREVENT_ENUMERATION = "strict"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[paretoboard] "
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if SECURE else "http"
# Strict per account; generous per address, because a whole campus shares one on the first day.
ACCOUNT_RATE_LIMITS = {
    "login": "120/m/ip",
    "login_failed": "60/m/ip,5/5m/key",
    "signup": "60/m/ip",
    "reset_password": "30/m/ip,3/10m/key",
    "reset_password_from_key": "30/m/ip",
}
# API requests per minute: per address without token or session, per person, per address in total, and
# for creating something (per person, or per address without one).
API_LIMITS = {"anonymous": 120, "person": 300, "address": 3000, "create": 60}
# Hundreds of people share an address in the hall of a final: limits per address do not apply to these networks.
ONSITE_NETWORKS = [ip_network(text) for text in env.words("ONSITE_NETWORKS")]
# Checks without an entry, per person: they take about a minute of the site's CPU and no quota.
CHECKS_PER_HOUR = int(env.text("CHECKS_PER_HOUR", "20"))
SIGN_UP_OPEN = env.flag("SIGN_UP_OPEN", True)
SOCIAL_LOGIN = env.words("SOCIAL_LOGIN")
INSTALLED_APPS += providers.apps(SOCIAL_LOGIN)
SOCIALACCOUNT_PROVIDERS = providers.providers(SOCIAL_LOGIN)

LANGUAGE_CODE = "ko"
LANGUAGES = [("ko", "한국어"), ("en", "English")]
LOCALE_PATHS = [ROOT / "leaderboard" / "locale"]
TIME_ZONE = "Asia/Seoul"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = HOME / "static"

SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^metrics$"]  # scraped on the inner network, where there is no TLS
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = SECURE
CSRF_COOKIE_SECURE = SECURE
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
if env.flag("BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    ALLAUTH_TRUSTED_PROXY_COUNT = 1  # proxies whose X-Forwarded-For counts for rate limits

LOGGING = logs.config(env.text("LOG_FORMAT", "line"), env.text("LOG_LEVEL", "INFO"))

# Who can read /metrics: anyone with the token, or without a proxy from one of these networks.
METRICS_TOKEN = env.text("METRICS_TOKEN")
METRICS_NETWORKS = [ip_network(text) for text in env.words("METRICS_NETWORKS")]
