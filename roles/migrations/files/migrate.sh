# Run the migrations that a database lacks. The arguments: the release, the digest of the salt key,
# whether another one is asked for, the number of connections that are needed, where the settings
# stay, the unit that makes a backup. On standard input: settings and migrations.
: "${release?}" "${salt?}" "${asked?}" "${needed?}" "${directory?}" "${backup?}"
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit
unpack
set -a
# shellcheck source=/dev/null
. ./settings
# One that waits for a lock makes all wait that come after it.
PGOPTIONS="${PGOPTIONS-} -c client_min_messages=warning -c lock_timeout=30s"
set +a

ask() { psql -XAtqw -F ' ' -v ON_ERROR_STOP=1 "$@" </dev/null; }
fail() {
    echo "database: $*" >&2
    exit 1
}

said=$(ask -c "SELECT current_setting('max_connections'),
    coalesce(obj_description(to_regclass('_prisma_migrations'), 'pg_class'), '')") ||
    fail "it does not answer, or does not let us in"
[ "${said%% *}" -ge "$needed" ] ||
    fail "it admits ${said%% *} connections, and the gateways need $needed"
case ${said#* } in
    '' | *"salt key $salt") ;;
    *) [ "$asked" = yes ] || fail "it is for another salt key: give back the former one" ;;
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
    systemctl start "$backup" || fail "no backup can be made, and so nothing was changed"
    echo "database: a backup was made"
fi
# An index that is built beside the work needs to be alone in its command. One that was cut is still
# there, and of no use.
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
        fail "the migration $name failed, and those after it were not begun; no gateway is changed"
done <missing
ask -f unfinished.sql -f indexes.sql >/dev/null ||
    fail "the indexes of its request logs cannot be made; no gateway is changed"
psql -XAtqw -v ON_ERROR_STOP=1 -v said="mirrorfleet: $release, salt key $salt" <<'SQL'
COMMENT ON TABLE "_prisma_migrations" IS :'said';
SQL
install -d -m 755 "$directory"
install -m 600 settings "$directory/settings.new"
mv -f "$directory/settings.new" "$directory/settings"
echo "database: $number migrations of $release were run"
