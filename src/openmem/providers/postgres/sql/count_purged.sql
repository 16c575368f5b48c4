-- How many memories have expired or ended before a moment, and how many audit entries are from before another. One row.
-- Reads whole tables where a moment is given.
SELECT
    (SELECT count(*) FROM {schema}.memories m WHERE m.expires_at <= now())
    + CASE WHEN :ended_before::timestamptz IS NULL THEN 0 ELSE (
        SELECT count(*) FROM {schema}.memories m
        WHERE m.valid_to < least(:ended_before::timestamptz, now())
            AND {not_expired(m)}
    ) END
    + CASE WHEN :audit_before::timestamptz IS NULL THEN 0 ELSE (
        SELECT count(*) FROM {schema}.audit_log a WHERE a.at < :audit_before::timestamptz
    ) END
