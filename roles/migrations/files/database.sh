# The maximum number of connections of a database, and the comment of its tables. The query uses only
# the settings of the plan.
database() {
    digest=$(sha256sum "$1" 2>/dev/null)
    [ "${digest%% *}" = "$2" ] || return 0
    reply=$(
        set -a
        # shellcheck source=/dev/null
        . "$1"
        exec psql -XAtqw -F ' ' -c "SELECT current_setting('max_connections'),
            obj_description(to_regclass('_prisma_migrations'), 'pg_class')" 2>/dev/null </dev/null
    ) && say database "$1" "$reply"
}
