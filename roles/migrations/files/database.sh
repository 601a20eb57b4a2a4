# How many connections a database admits, and what was noted in it. It is asked with the settings of
# the plan, and no others.
database() {
    digest=$(sha256sum "$1" 2>/dev/null)
    [ "${digest%% *}" = "$2" ] || return 0
    said=$(
        set -a
        # shellcheck source=/dev/null
        . "$1"
        exec psql -XAtqw -F ' ' -c "SELECT current_setting('max_connections'),
            obj_description(to_regclass('_prisma_migrations'), 'pg_class')" 2>/dev/null </dev/null
    ) && say database "$1" "$said"
}
