# Writes files into the homes of users. An archive on standard input holds them, and `places`, the
# calls of `as_user`. Run as root, under the lock.
#
# A home may be hostile. The user's own shell writes, so neither a link nor a strange owner in the
# home makes root write elsewhere. It gets no descriptor of ours: not the lock, not our output. It is
# bounded in time, and in what it says. What goes wrong in one home stops nothing in the others, and
# is reported as a line: `changed` or `skipped`, the user, why.
stage=/var/lib/mirrorfleet/stage
rm -rf "$stage" # of a run that was killed; there may be a key in it
trap 'rm -rf "$stage"' EXIT
mkdir -m 711 "$stage"
(cd "$stage" && unpack)

# A file that is itself a link, as dotfile managers make them, is followed as long as it stays in the
# home. What another program writes at the same time is never lost: the new file and the old one
# change places at once, and if the old one is not what was looked at, it goes back.
# shellcheck disable=SC2016 # the user's own shell expands it
in_home='set -eu; umask 077; export LC_ALL=C; cd "${1:?no home}"; stage=$2
fail() { printf "%s\n" "$1" >&2; exit "${2-1}"; }
changed() { fail "$PWD/$path was changed meanwhile; run again" 75; }
digest() { set -- $(sha256sum <"$1" 2>/dev/null) unreadable; echo "$1"; }
now() { if [ -e "$to" ]; then digest "$to"; else echo none; fi; }
reach() {
    path=$1
    case $path in */*) [ -d "${path%/*}" ] || mkdir -p "${path%/*}" ;; esac
    to=$(readlink -f "$path") || fail "$PWD/$path leads nowhere"
    case $to in
        "$(pwd -P)"/*) ;;
        *) fail "$PWD/$path leads out of the home, to $to" ;;
    esac
    [ ! -e "$to" ] || [ -f "$to" ] || fail "$PWD/$path is not a regular file"
    rm -f "$to".mirrorfleet.* # of a run that was cut
    new=$(mktemp "$to.mirrorfleet.XXXXXX"); trap "rm -f \"\$new\"" EXIT
}
# renameat2 with RENAME_EXCHANGE; not every file system has it, and not every host has perl.
swap() {
    perl -MConfig -e "
        my \$call = \$Config{archname} =~ /^x86_64/ ? 316 : \$Config{archname} =~ /^aarch64/ ? 276 : 0;
        exit(\$call && syscall(\$call, -100, \$ARGV[0], -100, \$ARGV[1], 2) == 0 ? 0 : 1);
    " "$new" "$to" 2>/dev/null
}
place() {
    reach "$2"
    cat "$stage/$1" >"$new"; chmod "$4" "$new"
    [ "$(now)" = "$3" ] || changed
    if [ "$3" = none ]; then
        if ! ln -T "$new" "$to" 2>/dev/null; then
            [ ! -e "$to" ] || changed
            mv -fT "$new" "$to"
        fi
    else
        was=$3 put=$(digest "$new") late=
        if ! swap; then
            mv -fT "$new" "$to"
            return
        fi
        while got=$(digest "$new"); [ "$got" != "$was" ]; do
            late=yes was=$put put=$got
            swap
        done
        [ -z "$late" ] || changed
    fi
    rm -f "$new"
}
remove() {
    reach "$1"
    [ "$(now)" = "$2" ] || changed
    mv -fT "$to" "$new"
    if [ "$(digest "$new")" != "$2" ]; then
        ln -T "$new" "$to" 2>/dev/null || [ -e "$to" ] || mv -fT "$new" "$to"
        changed
    fi
    rm -f "$new"
}
'

patience=30
as_user() {
    home=$(getent passwd "$1" | cut -d : -f 6)
    status=0
    rm -f "$stage/said"
    umask 077
    (
        ulimit -f 65536 # 32 MiB
        exec timeout -k 5 "$patience" runuser -u "$1" -- sh -c "$in_home$2" sh "$home" "$stage"
    ) </dev/null >"$stage/said" 2>&1 9>&- || status=$?
    umask 022
    case $status in
        0) return ;;
        75) how=changed ;;
        124 | 137)
            how=skipped patience=5
            echo "the home does not answer in time" >>"$stage/said"
            ;;
        *) how=skipped ;;
    esac
    printf '%s\t%s\t%s\n' "$how" "$1" \
        "$(tr '\n' ' ' <"$stage/said" | tr -cd '\040-\176' | tail -c 500)"
}
