SET client_min_messages = warning;
SELECT format('DROP ROLE %I', rolname) FROM pg_roles
WHERE rolname ~ '^litellm_[0-9a-f]{8}$' AND rolname <> 'litellm_921ce06b' \gexec
-- Before there were roles of passwords, it came in itself.
ALTER ROLE litellm NOLOGIN PASSWORD NULL;
