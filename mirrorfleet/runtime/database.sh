# A function of observe.sh that only hosts with a database need.

# How many connections a database admits, and what we have noted about it. Asked with the settings
# that are wanted, and no others.
database() {
    wanted=$1
    shift
    for path; do
        # shellcheck disable=SC2046 # the digest and the name
        set -- $(sha256sum "$path" 2>/dev/null)
        [ "${1-}" = "$wanted" ] || continue
        said=$(
            set -a
            # shellcheck source=/dev/null
            . "$path"
            exec psql -XAtqw -F ' ' -c "SELECT current_setting('max_connections'),
                obj_description(to_regclass('_prisma_migrations'), 'pg_class')" 2>/dev/null </dev/null
        ) && say database "$path" "$said"
    done
}
