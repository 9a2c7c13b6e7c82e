"""Django's settings, driven by the environment; docs/configuration.md describes every variable."""

import os
import sys
from pathlib import Path

import dj_database_url
import dj_email_url
from django.utils.translation import gettext_lazy as _

from chat.tools.pages.allowed import AllowList
from chatsite.env import env, kept_secret, require, seal

BASE_DIR = Path(__file__).resolve().parent.parent
env.read_env(os.environ.get("ENV_FILE", BASE_DIR / ".env"), recurse=False)

# --- Where things are -----------------------------------------------------------------------------
VAR_DIR = env.path("VAR_DIR", BASE_DIR / "var")
STATIC_ROOT = env.path("STATIC_ROOT", BASE_DIR / "staticfiles")  # built, so not in VAR_DIR
DEBUG = env.bool("DEBUG", False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES", "")
HTTPS_ONLY = env.bool("HTTPS_ONLY", False)
DATABASE_URL = env.str("DATABASE_URL", f"sqlite:///{VAR_DIR / 'parley.sqlite3'}")
REDIS_URL = env.str("REDIS_URL", "")
EMAIL_URL = env.str("EMAIL_URL", "")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "parley@localhost")
SECRET_KEY = env.str("SECRET_KEY", "")

# --- What Parley does -----------------------------------------------------------------------------
OPENAI_BASE_URL = env.str("OPENAI_BASE_URL", "")
OPENAI_API_KEY = env.str("OPENAI_API_KEY", "")
CHAT_MODELS = env.names("CHAT_MODELS", "")
ASSISTANT_NAME = env.str("ASSISTANT_NAME", "Parley")
SYSTEM_PROMPT = env.str("SYSTEM_PROMPT", "You are a helpful assistant.")
SIGNUP = env.str("SIGNUP", "closed")
MESSAGE_MAX_CHARS = env.int("MESSAGE_MAX_CHARS", 32_000)
CONCURRENT_REPLIES_PER_USER = env.int("CONCURRENT_REPLIES_PER_USER", 3)
REPLY_MAX_TOKENS = env.int("REPLY_MAX_TOKENS", 32_768)
CONTEXT_MAX_CHARS = env.int("CONTEXT_MAX_CHARS", 400_000 if OPENAI_BASE_URL else 12_000)
TITLES = env.bool("TITLES", True)
STREAM_ABANDON_GRACE = env.grace("STREAM_ABANDON_GRACE", "10")
STREAM_FINISH_WHEN_AWAY = env.bool("STREAM_FINISH_WHEN_AWAY", True)
STREAM_FIRST_TOKEN_TIMEOUT = env.seconds("STREAM_FIRST_TOKEN_TIMEOUT", 60.0)
STREAM_IDLE_TIMEOUT = env.seconds("STREAM_IDLE_TIMEOUT", 60.0)
STREAM_HEARTBEAT = env.seconds("STREAM_HEARTBEAT", 15.0)
TOOL_APPROVAL_TIMEOUT = env.seconds("TOOL_APPROVAL_TIMEOUT", 900.0)
DRAIN_TIMEOUT = env.seconds("DRAIN_TIMEOUT", 25.0)
MODERATION_BACKENDS = env.list("MODERATION_BACKENDS", ["local"])
MODERATION_ACTION = env.str("MODERATION_ACTION", "withhold")
MODERATION_FAIL = env.str("MODERATION_FAIL", "open")
MODERATION_JUDGE_MODEL = env.str("MODERATION_JUDGE_MODEL", "")
MODERATION_STREAM_CHARS = env.int("MODERATION_STREAM_CHARS", 0)
REVIEW_SAMPLE = env.float("REVIEW_SAMPLE", 0.0)
REVIEW_TWO_PERSON: list[str] = env.list("REVIEW_TWO_PERSON", [])
REVIEW_ANONYMOUS = env.bool("REVIEW_ANONYMOUS", False)
RETENTION_DAYS = env.int("RETENTION_DAYS", None)
DELETE_POLICY = env.str("DELETE_POLICY", "retain")
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
METRICS_ADDRESSES = env.networks("METRICS_ADDRESSES", "127.0.0.0/8,::1")
MODEL_PRICES = env.prices("MODEL_PRICES", "")
PRICE_CURRENCY = env.str("PRICE_CURRENCY", "USD")
TOOL_TIMEOUT = env.seconds("TOOL_TIMEOUT", 30.0)
TOOL_FETCH_HOSTS: list[str] = env.list("TOOL_FETCH_HOSTS", [])
LOG_FORMAT = env.str("LOG_FORMAT", "auto")
LOG_LEVEL = env.str("LOG_LEVEL", "INFO").upper()

seal()
require(SIGNUP in {"open", "invite", "closed"}, "SIGNUP", "must be open, invite or closed")
require(MODERATION_ACTION in {"flag", "withhold"}, "MODERATION_ACTION", "must be flag or withhold")
require(
    bool(MODERATION_BACKENDS) and set(MODERATION_BACKENDS) <= {"local", "openai", "judge"},
    "MODERATION_BACKENDS",
    "must be a list of: local, openai, judge",
)
require(MODERATION_FAIL in {"open", "closed"}, "MODERATION_FAIL", "must be open or closed")
require(MODERATION_STREAM_CHARS >= 0, "MODERATION_STREAM_CHARS", "must not be below 0")
require(0 <= REVIEW_SAMPLE <= 1, "REVIEW_SAMPLE", "must be a share between 0 and 1")
require(
    set(REVIEW_TWO_PERSON) <= {"dismiss", "uphold", "redact"},
    "REVIEW_TWO_PERSON",
    "must be a list of: dismiss, uphold, redact",
)
require(RETENTION_DAYS is None or RETENTION_DAYS > 0, "RETENTION_DAYS", "must be above 0")
require(
    DELETE_POLICY in {"retain", "purge"} or DELETE_POLICY.isdecimal(),
    "DELETE_POLICY",
    "must be retain, purge, or a number of days",
)
require(LOG_FORMAT in {"auto", "json", "console"}, "LOG_FORMAT", "must be auto, json or console")
require(
    LOG_LEVEL in {"DEBUG", "INFO", "WARNING", "ERROR"},
    "LOG_LEVEL",
    "must be DEBUG, INFO, WARNING or ERROR",
)
for _name in (
    "MESSAGE_MAX_CHARS",
    "CONCURRENT_REPLIES_PER_USER",
    "REPLY_MAX_TOKENS",
    "CONTEXT_MAX_CHARS",
):
    require(globals()[_name] > 0, _name, "must be above 0")
for _name in ("STREAM_FIRST_TOKEN_TIMEOUT", "STREAM_IDLE_TIMEOUT", "STREAM_HEARTBEAT"):
    require(globals()[_name] > 0, _name, "must be above 0")
require(TOOL_TIMEOUT > 0, "TOOL_TIMEOUT", "must be above 0")
require(TOOL_APPROVAL_TIMEOUT > 0, "TOOL_APPROVAL_TIMEOUT", "must be above 0")
try:
    AllowList.of(TOOL_FETCH_HOSTS)
except ValueError as _error:
    require(False, "TOOL_FETCH_HOSTS", str(_error))
require(
    not REDIS_URL or REDIS_URL.startswith(("redis://", "rediss://", "unix://")),
    "REDIS_URL",
    "must begin with redis://, rediss:// or unix://",
)
for _origin in CSRF_TRUSTED_ORIGINS:
    require("://" in _origin, "CSRF_TRUSTED_ORIGINS", f"{_origin!r} has no scheme")
require(
    not OPENAI_BASE_URL or OPENAI_BASE_URL.startswith(("http://", "https://")),
    "OPENAI_BASE_URL",
    "must begin with http:// or https://",
)
if OPENAI_API_KEY and not OPENAI_BASE_URL:
    OPENAI_BASE_URL = "https://api.openai.com/v1"
if not SECRET_KEY:
    try:
        SECRET_KEY = kept_secret(VAR_DIR / "secret_key")
    except OSError as _error:
        require(False, "SECRET_KEY", f"not set, and none can be kept under VAR_DIR: {_error}")

# --- Django ---------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "daphne",  # before staticfiles: it brings its own runserver
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "channels",
    "allauth",
    "allauth.account",
    "chat",
]
MIDDLEWARE = [
    "chat.middleware.request_id",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "chat.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "chatsite.urls"
ASGI_APPLICATION = "chatsite.asgi.application"
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
                "chat.context.site",
            ],
        },
    }
]

try:
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL)}
except (ValueError, dj_database_url.ParseError, dj_database_url.UnknownSchemeError) as _error:
    require(False, "DATABASE_URL", str(_error))
_database = DATABASES["default"]
if _database["ENGINE"].endswith("sqlite3"):
    # A connection per thread of the pool, kept: opening one costs as much as a page's queries.
    _database["CONN_MAX_AGE"] = None
    _database["OPTIONS"] = {
        # WAL lets readers go on while one writes; IMMEDIATE takes the write lock at BEGIN, so that
        # two writers queue for `timeout` seconds instead of failing half-way with "locked".
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
            "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16000;"
            "PRAGMA secure_delete=ON;"  # what is purged is not to be found in the file either
        ),
    }
    # Threads of the engine and the views must see the rows of a test: a file, not memory.
    _database["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
    Path(_database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    VAR_DIR.mkdir(parents=True, exist_ok=True)
elif _database["ENGINE"].endswith("postgresql"):
    # As with SQLite, a connection per thread of our own pool: psycopg's pool would be a second one.
    # Measured in an outage, its callers wait (30 s, as it comes) before they hear of it, and its
    # back-off keeps them waiting when the database is there again; here both come at once. The
    # check, a round trip per call, is for the connection that a restart of the database has cut.
    _database["CONN_MAX_AGE"] = None
    _database["CONN_HEALTH_CHECKS"] = True
    _database["OPTIONS"] = {
        "application_name": "parley",
        "connect_timeout": 5,
        # A database machine that is gone without a word is noticed in half a minute, not in hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        **_database.get("OPTIONS", {}),  # what DATABASE_URL says of them
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if REDIS_URL:
    _layer = {
        # Not the core layer: it loses its groups when Redis restarts, and drops messages.
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # redis-py's own 5 s would end an idle subscription.
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}], "prefix": "parley"},
    }
else:
    _layer = {"BACKEND": "chat.memory_layer.MemoryLayer"}
CHANNEL_LAYERS = {"default": _layer}

# --- People ---------------------------------------------------------------------------------------
AUTH_USER_MODEL = "chat.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
# ASVS 5 section 6.2: at least 8 characters, at least 64 allowed, common ones refused, no rules of
# composition, no periodic change.
_VALIDATION = "django.contrib.auth.password_validation."
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": _VALIDATION + "MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": _VALIDATION + "CommonPasswordValidator"},
    {"NAME": _VALIDATION + "UserAttributeSimilarityValidator"},
]
ACCOUNT_ADAPTER = "chat.accounts.adapter.Adapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS_ONLY else "http"
ACCOUNT_EMAIL_NOTIFICATIONS = bool(EMAIL_URL)
PASSWORD_RESET_TIMEOUT = 86_400
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if EMAIL_URL:
    _mail = dj_email_url.parse(EMAIL_URL)
    require("EMAIL_BACKEND" in _mail, "EMAIL_URL", "unknown scheme; use submission:// or smtp://")
    vars().update(_mail)
else:
    # Without a mail server, letters are kept where only the operator reads them, not in the log.
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = VAR_DIR / "mail"

# --- Language, static files, logs -----------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or "pytest" in sys.modules
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
LOGGING_CONFIG = "chat.logs.configure"
LOGGING = {"format": LOG_FORMAT, "level": LOG_LEVEL}
