-- Bounds of the selection once more, without OR, so that an index in the order of time begins and ends there.
m.created_at >= coalesce(:selected_since::timestamptz, '-infinity')
AND m.created_at <= coalesce(:selected_until::timestamptz, 'infinity')
