# The server of a cluster whose files say which release made it: a new release of the distribution
# brings another Postgres, which cannot read them.
#
#     server.sh prepare | run DIRECTORY
#
# A cluster is made once, and `made` says that it was: where its files are gone after that, because
# their disk is not there, say, an empty database would look well, and its backups would push out the
# real ones.
set -eu
cd "$STATE_DIRECTORY"

case $1 in
prepare)
    install -d -m 700 backups
    if [ ! -e data/PG_VERSION ]; then
        if [ -e made ] || [ -n "$(find backups -name '*.dump' -print -quit)" ]; then
            [ -e begin-empty ] || exit 0 # run tells
        fi
        [ -z "$(ls -A data 2>/dev/null)" ] || exit 0
        rm -rf data.new
        # shellcheck disable=SC2012 # the distribution's own directories
        newest=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
        "$newest/initdb" -D data.new -U postgres --auth=reject --encoding=UTF8 --locale=C.UTF-8 \
            --data-checksums >/dev/null
        [ ! -e data ] || rmdir data
        mv data.new data
    fi
    if [ -e made ] && [ "$(cat generation 2>/dev/null)" != "$MIRRORFLEET_GENERATION" ]; then
        : >former # gateways may still come in with the password of the one before
    fi
    echo "$MIRRORFLEET_GENERATION" >generation
    : >made
    rm -f begin-empty
    ;;
run)
    if [ ! -e data/PG_VERSION ]; then
        echo "the database is gone: there was one in $PWD/data. Mount its disk, or bring it back; to" \
            "begin with an empty one, into which a backup can be restored: touch $PWD/begin-empty" >&2
        exit 78
    fi
    read -r release <data/PG_VERSION
    program=/usr/lib/postgresql/$release/bin/postgres
    if [ ! -x "$program" ]; then
        echo "the database is of Postgres $release, which is not installed: install" \
            "postgresql-$release, or move $PWD/data away, touch $PWD/begin-empty and restore a" \
            "backup" >&2
        exit 78
    fi
    exec "$program" -D data -c config_file="$2/postgresql.conf"
    ;;
esac
