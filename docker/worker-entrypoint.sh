#!/bin/sh
# Puts the secrets from their files where the worker reads them, then becomes the command.
set -eu
if [ -n "${HF_TOKEN_FILE:-}" ]; then
    HF_TOKEN=$(cat "$HF_TOKEN_FILE")
    export HF_TOKEN
fi
if [ -n "${GRADER_TOKEN_FILE:-}" ]; then
    GRADER_TOKEN=$(cat "$GRADER_TOKEN_FILE")
    export GRADER_TOKEN
fi
exec "$@"
