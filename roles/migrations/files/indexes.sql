-- The indexes of request logs. LiteLLM's migrations leave them to LiteLLM itself, which does not manage
-- its tables here. Without logs they cost nothing. A partitioned table keeps the indexes of its owner.
SELECT format('CREATE INDEX CONCURRENTLY IF NOT EXISTS %I ON %s (%s)', name, logs.oid::regclass,
    (SELECT string_agg(quote_ident(indexed), ', ' ORDER BY number)
        FROM unnest(columns) WITH ORDINALITY AS listed (indexed, number)))
FROM pg_class logs, (VALUES
    ('LiteLLM_SpendLogs_api_key_startTime_idx', ARRAY['api_key', 'startTime']),
    ('LiteLLM_SpendLogs_litellm_call_id_idx', ARRAY['litellm_call_id'])
) AS desired (name, columns)
WHERE logs.oid = to_regclass('"LiteLLM_SpendLogs"') AND logs.relkind = 'r' \gexec
