# The site's image with llmcompressor in a separate environment, to run `publish_baselines` by hand.
ARG SITE_IMAGE=paretoboard-site
# hadolint ignore=DL3006
FROM ${SITE_IMAGE}

# Only the installation needs root; back to 10001 below.
USER 0:0
RUN --mount=type=cache,target=/root/.cache/pip \
    python requirements/install.py baseline=/opt/compress
USER 10001:10001

ENV COMPRESS_PYTHON=/opt/compress/bin/python
HEALTHCHECK NONE
CMD ["python", "-m", "django", "publish_baselines", "--help"]
