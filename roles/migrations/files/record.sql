-- Record a migration as `prisma migrate deploy` does.
INSERT INTO "_prisma_migrations" (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
VALUES (gen_random_uuid(), :'checksum', :'name', transaction_timestamp(), clock_timestamp(), 1);
