SET client_min_messages = warning;
-- Revoke the logins of all other passwords. Each password has its own role; before that, the role was
-- litellm.
SELECT format('ALTER ROLE %I NOLOGIN PASSWORD NULL', rolname) FROM pg_roles
WHERE rolname ~ '^litellm(_[0-9a-f]{8})?$' AND rolname <> 'litellm_921ce06b' \gexec
-- End their connections, which would outlive the roles.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename ~ '^litellm(_[0-9a-f]{8})?$' AND usename <> 'litellm_921ce06b' \g /dev/null
SELECT format('DROP ROLE %I', rolname) FROM pg_roles
WHERE rolname ~ '^litellm_[0-9a-f]{8}$' AND rolname <> 'litellm_921ce06b' \gexec
