CASE WHEN :readable_paths::text[] IS NULL OR m.supersedes = '{}' THEN m.supersedes ELSE (
    -- The ids of m.supersedes in their order, without those of memories that the caller may not read.
    SELECT array_agg(named.id ORDER BY named.position)
    FROM unnest(m.supersedes) WITH ORDINALITY AS named (id, position)
    CROSS JOIN LATERAL (
        SELECT FROM {schema}.memories s
        WHERE s.id = named.id AND s.bucket = :bucket::smallint AND s.user_id = m.user_id
            AND {is_readable(s.scope)} AND {not_expired(s)}
        -- A fence: without it the planner may read all memories of the user, and join them.
        OFFSET 0
    ) s
) END
