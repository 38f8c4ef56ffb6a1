#!/bin/sh
# The official image's variables and startup: as root, then as its own user; a temporary server on the socket only
# while the database is created, then the real one.
set -eu
data=/var/lib/postgresql/18/docker
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data" /run/postgresql
    chown -R postgres /var/lib/postgresql /run/postgresql
    exec setpriv --reuid postgres --regid postgres --clear-groups sh "$0" "$@"
fi
if [ ! -s "$data/PG_VERSION" ]; then
    initdb --pgdata "$data" --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" \
        --encoding UTF8 --locale C.UTF-8 --auth-local trust --auth-host scram-sha-256
    echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
    pg_ctl --pgdata "$data" --wait --options "-c listen_addresses='' -c unix_socket_directories=/run/postgresql" start
    psql --host /run/postgresql --username "$POSTGRES_USER" --dbname postgres --command "CREATE DATABASE \"$POSTGRES_DB\""
    sleep "${SLOW_FIRST_START_S:-0}"
    pg_ctl --pgdata "$data" --wait --mode fast stop
fi
exec "$@" -D "$data" -c "listen_addresses=*" -c unix_socket_directories=/run/postgresql
