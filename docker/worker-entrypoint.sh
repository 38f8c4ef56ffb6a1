#!/bin/sh
# Exports the secrets from their files to where the worker reads them, then runs the command.
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
