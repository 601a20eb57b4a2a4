-- The indexes of request logs. LiteLLM's migrations do not create them: LiteLLM does, when it manages
-- its tables itself. Without logs they cost nothing. A partitioned table has the indexes of its owner.
SELECT format('CREATE INDEX CONCURRENTLY IF NOT EXISTS %I ON %s (%s)', name, logs.oid::regclass,
    (SELECT string_agg(quote_ident(each), ', ' ORDER BY number)
        FROM unnest(columns) WITH ORDINALITY AS of_it (each, number)))
FROM pg_class logs, (VALUES
    ('LiteLLM_SpendLogs_api_key_startTime_idx', ARRAY['api_key', 'startTime']),
    ('LiteLLM_SpendLogs_litellm_call_id_idx', ARRAY['litellm_call_id'])
) AS missing (name, columns)
WHERE logs.oid = to_regclass('"LiteLLM_SpendLogs"') AND logs.relkind = 'r' \gexec
