# The server of a cluster whose files say which release made it: a new release of the distribution
# brings another Postgres, which cannot read them.
#
#     server.sh prepare | run DIRECTORY
set -eu
cd "$STATE_DIRECTORY"

case $1 in
prepare)
    install -d -m 700 backups
    [ ! -e data/PG_VERSION ] || exit 0
    rm -rf data data.new
    newest=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    "$newest/initdb" -D data.new -U postgres --auth=reject --encoding=UTF8 --locale=C.UTF-8 \
        --data-checksums >/dev/null
    mv data.new data
    ;;
run)
    read -r release <data/PG_VERSION
    program=/usr/lib/postgresql/$release/bin/postgres
    if [ ! -x "$program" ]; then
        echo "the database is of Postgres $release, which is not installed: install" \
            "postgresql-$release, or restore a backup into an empty $PWD/data" >&2
        exit 78
    fi
    exec "$program" -D data -c config_file="$2/postgresql.conf"
    ;;
esac
