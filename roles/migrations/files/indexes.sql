-- The indexes of request logs. LiteLLM's migrations leave them to LiteLLM, which looks after its tables
-- itself then; without logs they cost nothing. Of a table that was partitioned, they are its owner's.
SELECT format('CREATE INDEX CONCURRENTLY IF NOT EXISTS %I ON %s (%s)', name, logs.oid::regclass,
    (SELECT string_agg(quote_ident(each), ', ' ORDER BY number)
        FROM unnest(columns) WITH ORDINALITY AS of_it (each, number)))
FROM pg_class logs, (VALUES
    ('LiteLLM_SpendLogs_api_key_startTime_idx', ARRAY['api_key', 'startTime']),
    ('LiteLLM_SpendLogs_litellm_call_id_idx', ARRAY['litellm_call_id'])
) AS wanted (name, columns)
WHERE logs.oid = to_regclass('"LiteLLM_SpendLogs"') AND logs.relkind = 'r' \gexec
