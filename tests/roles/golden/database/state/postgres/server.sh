# Run the server with the release of Postgres that created its files: another release, for example of a
# new release of the distribution, cannot read them.
#
#     server.sh prepare | run DIRECTORY
#
# The cluster is created once, and the file `made` records that. If the data is missing later, for
# example because its disk is not mounted, a new empty database would look healthy, and its backups
# would replace the real ones.
set -eu
cd "$STATE_DIRECTORY"

case $1 in
prepare)
    install -d -m 700 backups
    if [ ! -e data/PG_VERSION ]; then
        if [ -e made ] || [ -n "$(find backups -name '*.dump' -print -quit)" ]; then
            [ -e begin-empty ] || exit 0 # run reports it
        fi
        [ -z "$(ls -A data 2>/dev/null)" ] || exit 0
        rm -rf data.new
        newest=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
        "$newest/initdb" -D data.new -U postgres --auth=reject --encoding=UTF8 --locale=C.UTF-8 \
            --data-checksums >/dev/null
        [ ! -e data ] || rmdir data
        mv data.new data
    fi
    if [ -e made ] && [ "$(cat generation 2>/dev/null)" != "$MIRRORFLEET_GENERATION" ]; then
        : >former # gateways may still use the password of the former generation
    fi
    echo "$MIRRORFLEET_GENERATION" >generation
    : >made
    rm -f begin-empty
    ;;
run)
    if [ ! -e data/PG_VERSION ]; then
        echo "the database in $PWD/data is missing: mount its disk, or restore its files. To start" \
            "with an empty database, for example to restore a backup: touch $PWD/begin-empty" >&2
        exit 78
    fi
    read -r release <data/PG_VERSION
    program=/usr/lib/postgresql/$release/bin/postgres
    if [ ! -x "$program" ]; then
        echo "the database needs Postgres $release, which is not installed: install" \
            "postgresql-$release, or move $PWD/data away, touch $PWD/begin-empty and restore a" \
            "backup" >&2
        exit 78
    fi
    exec "$program" -D data -c config_file="$2/postgresql.conf"
    ;;
esac
