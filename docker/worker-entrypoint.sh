#!/bin/sh
# Puts the token from the file that GRADER_TOKEN_FILE names where the worker reads it, then becomes the command.
set -eu
if [ -n "${GRADER_TOKEN_FILE:-}" ]; then
    GRADER_TOKEN=$(cat "$GRADER_TOKEN_FILE")
    export GRADER_TOKEN
fi
exec "$@"
