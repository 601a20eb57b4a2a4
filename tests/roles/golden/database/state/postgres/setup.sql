SET client_min_messages = warning;
-- litellm owns everything. Each password has its own login role, which acts as litellm.
SELECT 'CREATE ROLE litellm' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'litellm') \gexec
SELECT 'CREATE ROLE litellm_921ce06b' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'litellm_921ce06b') \gexec
ALTER ROLE litellm NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
ALTER ROLE litellm_921ce06b LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD 'SCRAM-SHA-256$4096:hEPuRItTu1dShkEZZotHOQ==$84Fgfur2PCk4uN+hkCcSh6DAOXNVoOaN20wnS+f8rmc=:MNnU/msquR3G5etyFqfUj6uc/41AUng0RgkGZNQAHbc=';
GRANT litellm TO litellm_921ce06b;
ALTER ROLE litellm_921ce06b SET role = 'litellm';
SELECT 'CREATE DATABASE litellm OWNER litellm'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'litellm') \gexec
REVOKE ALL ON DATABASE litellm FROM PUBLIC;
