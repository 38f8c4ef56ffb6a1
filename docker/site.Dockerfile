# The site: web server, queue worker, beat and management commands use this image with different commands.
ARG PYTHON_IMAGE=python:3.11-slim
# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}

# The wheels include libpq and OpenSSL, so nothing is installed from Debian.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/venv/bin:$PATH

WORKDIR /app

# Packages come first and only from the lock, so a code change does not reinstall them.
COPY requirements ./requirements
RUN --mount=type=cache,target=/root/.cache/pip \
    python requirements/install.py site=/opt/venv
COPY pyproject.toml LICENSE README.md ./
COPY grader/__init__.py ./grader/__init__.py
COPY baseline/__init__.py ./baseline/__init__.py
RUN python requirements/install.py site=/opt/venv

COPY manage.py gunicorn.conf.py ./
COPY grader ./grader
COPY baseline ./baseline
COPY leaderboard ./leaderboard
COPY templates ./templates
# newcontest explains every key in the guide's words.
COPY docs/contest.md ./docs/contest.md
COPY docker/healthcheck.py ./docker/healthcheck.py

# /data: uploads, static files, scratch. A new named volume gets its owner from here.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin paretoboard \
    && install -d -o paretoboard -m 0700 /data
USER 10001:10001

ENV DJANGO_SETTINGS_MODULE=leaderboard.settings \
    PARETOBOARD_HOME=/data \
    HEALTH_FILE=/tmp/alive \
    HOME=/tmp
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "docker/healthcheck.py"]
# The one-shot service `migrate` collects static files into the volume, so each deploy updates them.
CMD ["python", "-m", "gunicorn", "--bind", "0.0.0.0:8000", \
     "--workers", "2", "--worker-tmp-dir", "/dev/shm", "leaderboard.wsgi"]
