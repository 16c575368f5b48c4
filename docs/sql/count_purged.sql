-- Made by tools/sql.py; what is changed here is lost.
\set ended_before NULL
\set audit_before NULL

BEGIN;

-- How many memories have expired or ended before a moment, and how many audit entries are from before another. One row.
-- Reads whole tables where a moment is given.
SELECT
    (SELECT count(*) FROM openmem.memories m WHERE m.expires_at <= now())
    + CASE WHEN :ended_before::timestamptz IS NULL THEN 0 ELSE (
        SELECT count(*) FROM openmem.memories m
        WHERE m.valid_to < least(:ended_before::timestamptz, now())
            AND (m.expires_at IS NULL OR m.expires_at > now())
    ) END
    + CASE WHEN :audit_before::timestamptz IS NULL THEN 0 ELSE (
        SELECT count(*) FROM openmem.audit_log a WHERE a.at < :audit_before::timestamptz
    ) END;

ROLLBACK;
