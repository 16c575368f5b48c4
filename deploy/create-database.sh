#!/bin/sh
# Makes the server's database and its role, which owns that database and nothing else.
# The image of PostgreSQL runs this once, as the superuser, when its volume is empty.
set -eu

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv password OMP_DATABASE_PASSWORD
CREATE ROLE omp LOGIN PASSWORD :'password';
CREATE DATABASE omp OWNER omp ENCODING 'UTF8' TEMPLATE template0;
REVOKE CONNECT ON DATABASE omp FROM PUBLIC;
\connect omp
CREATE EXTENSION vector;
SQL
