SET client_min_messages = warning;
-- Nobody comes in any more but with the password that is wanted. Before there were roles of passwords,
-- it was litellm that came in.
SELECT format('ALTER ROLE %I NOLOGIN PASSWORD NULL', rolname) FROM pg_roles
WHERE rolname ~ '^litellm(_[0-9a-f]{8})?$' AND rolname <> 'litellm_921ce06b' \gexec
-- Who has come in would stay, also as a role that is gone.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename ~ '^litellm(_[0-9a-f]{8})?$' AND usename <> 'litellm_921ce06b' \g /dev/null
SELECT format('DROP ROLE %I', rolname) FROM pg_roles
WHERE rolname ~ '^litellm_[0-9a-f]{8}$' AND rolname <> 'litellm_921ce06b' \gexec
