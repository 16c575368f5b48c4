ON CONFLICT (user_id, key, bucket) DO UPDATE SET
    fingerprint = CASE WHEN k.at < now() - {key_lifetime} THEN excluded.fingerprint ELSE k.fingerprint END,
    memory_id = CASE WHEN k.at < now() - {key_lifetime} THEN excluded.memory_id ELSE k.memory_id END,
    memory_ids = CASE WHEN k.at < now() - {key_lifetime} THEN excluded.memory_ids ELSE k.memory_ids END,
    at = CASE WHEN k.at < now() - {key_lifetime} THEN excluded.at ELSE k.at END
