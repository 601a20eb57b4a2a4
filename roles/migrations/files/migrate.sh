# Run the missing migrations of a database. The arguments: the release, the digest of the salt key,
# whether another salt key is allowed, the number of connections that the gateways need, the directory
# of the settings, the unit that makes a backup. On standard input: settings and migrations.
: "${state?}" "${release?}" "${salt?}" "${confirmed?}" "${needed?}" "${directory?}" "${backup?}"
export LC_ALL=C
work=$state/work
mkdir -m 700 "$work"
trap 'rm -rf "$work"' EXIT
cd "$work" || exit
unpack
set -a
# shellcheck source=/dev/null
. ./settings
# A statement that waits for a lock blocks all later ones.
PGOPTIONS="${PGOPTIONS-} -c client_min_messages=warning -c lock_timeout=30s"
set +a

ask() { psql -XAtqw -F ' ' -v ON_ERROR_STOP=1 "$@" </dev/null; }
fail() {
    echo "database: $*" >&2
    exit 1
}

reply=$(ask -c "SELECT current_setting('max_connections'),
    coalesce(obj_description(to_regclass('_prisma_migrations'), 'pg_class'), '')") ||
    fail "it does not answer, or rejects the login"
[ "${reply%% *}" -ge "$needed" ] ||
    fail "it allows ${reply%% *} connections, but the gateways need $needed"
case ${reply#* } in
    '' | *"salt key $salt") ;;
    *) [ "$confirmed" = yes ] || fail "it uses another salt key: restore the former one" ;;
esac

ask -c 'CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    id VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum VARCHAR(64) NOT NULL,
    finished_at TIMESTAMPTZ,
    migration_name VARCHAR(255) NOT NULL,
    logs TEXT,
    rolled_back_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
)'
ask -c 'SELECT migration_name FROM "_prisma_migrations"
    WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL' >applied
for path in migrations/*; do
    grep -qxF -e "${path#migrations/}" applied || echo "${path#migrations/}"
done >missing

number=$(wc -l <missing)
if [ "$number" -gt 0 ] && [ -s applied ] && [ -n "$backup" ]; then
    systemctl start "$backup" || fail "the backup failed, so nothing was changed"
    echo "database: a backup was made"
fi
# A concurrent index needs a command of its own. An interrupted one leaves an invalid index behind.
cat >unfinished.sql <<'SQL'
SELECT format('DROP INDEX %s', x.indexrelid::regclass) FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
WHERE NOT x.indisvalid AND c.relname LIKE 'LiteLLM\_%' AND pg_table_is_visible(c.oid) \gexec
SQL
while read -r name; do
    file=migrations/$name/migration.sql
    sum=$(sha256sum <"$file")
    if grep -qiE '^[[:space:]]*(CREATE|DROP)[[:space:]].*INDEX[[:space:]]+CONCURRENTLY' "$file"; then
        set -- -f unfinished.sql
    else
        set -- --single-transaction
    fi
    ask "$@" -f "$file" -v name="$name" -v checksum="${sum%% *}" -f record.sql >/dev/null ||
        fail "the migration $name failed, and later ones did not start; no gateway is changed"
done <missing
ask -f unfinished.sql -f indexes.sql >/dev/null ||
    fail "the indexes of its request logs cannot be created; no gateway is changed"
psql -XAtqw -v ON_ERROR_STOP=1 -v comment="mirrorfleet: $release, salt key $salt" <<'SQL'
COMMENT ON TABLE "_prisma_migrations" IS :'comment';
SQL
install -d -m 755 "$directory"
install -m 600 settings "$directory/settings.new"
mv -f "$directory/settings.new" "$directory/settings"
echo "database: $number migrations of $release were run"
