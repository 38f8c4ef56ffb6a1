# The GPU worker. ENVIRONMENT=grader-cuda (default) or grader-cpu, which runs the same vLLM version on the CPU.
ARG ENVIRONMENT=grader-cuda
ARG PYTHON_IMAGE=python:3.11-slim
ARG CUDA_IMAGE=nvidia/cuda:13.0.2-runtime-ubuntu24.04

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS base-grader-cpu
# g++: vLLM compiles kernels on the CPU if GRADER_ENFORCE_EAGER=0; libnuma: vLLM links to it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap g++ libnuma1 \
    && rm -rf /var/lib/apt/lists/*

# hadolint ignore=DL3006
FROM ${CUDA_IMAGE} AS base-grader-cuda
# gcc and Python's headers: Triton compiles the launchers of its kernels when an engine starts.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
       bubblewrap gcc libc6-dev libnuma1 python3 python3-dev python3-venv python-is-python3 \
    && rm -rf /var/lib/apt/lists/*

# hadolint ignore=DL3006
FROM base-${ENVIRONMENT}
ARG ENVIRONMENT
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

WORKDIR /app
# Packages come first and only from the lock, so a code change does not reinstall them.
COPY requirements ./requirements
RUN --mount=type=cache,target=/root/.cache/pip \
    python requirements/install.py "${ENVIRONMENT}=/opt/venv"
COPY pyproject.toml LICENSE README.md ./
COPY grader/__init__.py ./grader/__init__.py
COPY baseline/__init__.py ./baseline/__init__.py
RUN python requirements/install.py "${ENVIRONMENT}=/opt/venv"
ENV PATH=/opt/venv/bin:$PATH

COPY grader ./grader
COPY docker/healthcheck.py docker/worker-entrypoint.sh ./docker/

# /scratch: attempts, wiped at each start; the path is short because of Unix socket paths. /cache: base model results, data sets.
# A new named volume gets its owner from here.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin paretoboard \
    && install -d -o paretoboard -m 0700 /scratch /cache /base_models
USER 10001:10001

ENV HOME=/tmp \
    GRADER_SCRATCH=/scratch \
    GRADER_CACHE=/cache \
    HEALTH_FILE=/tmp/alive
HEALTHCHECK --interval=60s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "docker/healthcheck.py", "queue"]
ENTRYPOINT ["sh", "docker/worker-entrypoint.sh"]
CMD ["python", "-m", "celery", "--app", "grader.worker.celery", "worker", "--queues", "gpu", \
     "--concurrency", "1", "--loglevel", "INFO", "--hostname", "gpu@%h"]
