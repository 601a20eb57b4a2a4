-- Record a migration as `prisma migrate deploy` does, once: the transaction of a killed client can
-- complete while the next run waits for its locks.
INSERT INTO "_prisma_migrations" (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
SELECT gen_random_uuid(), :'checksum', :'name', transaction_timestamp(), clock_timestamp(), 1
WHERE NOT EXISTS (
    SELECT FROM "_prisma_migrations"
    WHERE migration_name = :'name' AND finished_at IS NOT NULL AND rolled_back_at IS NULL
);
