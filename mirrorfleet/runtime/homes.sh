# Write files into the homes of users, from an archive on standard input. Its file `places` has the
# calls of `as_user`. Runs as root, under the lock.
#
# A home may be hostile. A process of the user writes, so a link or another owner in the home cannot
# make root write elsewhere. The process inherits no descriptor: neither the lock nor the output. Its
# time and its output are limited. A failure in one home does not affect others, and is reported as a
# line: `changed`, `skipped` or `kept`, the user, the reason.
stage=/var/lib/mirrorfleet/stage
trap 'rm -rf "$stage"' EXIT
mkdir -m 711 "$stage"
(cd "$stage" && unpack)

# A link, as dotfile managers create them, is followed if its target is in the home. Concurrent writes
# are never lost: the new and the old file are exchanged atomically, and if the old one has changed
# since the survey, they are exchanged back.
# shellcheck disable=SC2016 # the user's own shell expands it
in_home='set -eu; umask 077; export LC_ALL=C; cd "${1:?no home}"; stage=$2
fail() { printf "%s\n" "$1" >&2; exit "${2-1}"; }
changed() { fail "$PWD/$path has changed meanwhile; run again" 75; }
digest() { set -- $(sha256sum <"$1" 2>/dev/null) unreadable; echo "$1"; }
now() { if [ -e "$to" ]; then digest "$to"; else echo none; fi; }
# Remove the files that a killed run left beside a file.
sweep() { for left in "$1".mirrorfleet.*; do [ ! -f "$left" ] || rm -f "$left"; done; }
reach() {
    path=$1
    case $path in */*) [ -d "${path%/*}" ] || mkdir -p "${path%/*}" ;; esac
    to=$(readlink -f "$path") || fail "$PWD/$path is a broken link"
    case $to in
        "$(pwd -P)"/*) ;;
        *) fail "$PWD/$path links out of the home, to $to" ;;
    esac
    [ ! -e "$to" ] || [ -f "$to" ] || fail "$PWD/$path is not a regular file"
    sweep "$to"
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
# Links to files of Mirrorfleet. Another entry of the same name stays, and the other links are written.
own=
reach_link() {
    [ -d "${1%/*}" ] || mkdir -p "${1%/*}"
    folder=$(readlink -f "${1%/*}") to=$folder/${1##*/}
    case $folder/ in
        "$(pwd -P)"/*) ;;
        *) fail "$PWD/${1%/*} links out of the home, to $folder" ;;
    esac
}
# Whether $to is still what the survey found: a link to $1, or nothing.
is_known() { if [ -n "$1" ]; then [ "$(readlink "$to")" = "$1" ]; else [ ! -e "$to" ] && [ ! -h "$to" ]; fi; }
place_link() {
    reach_link "$2"
    if is_known "$3"; then ln -sfnT "$1" "$to"; else own="$own $2"; fi
}
remove_link() {
    reach_link "$1"
    ! is_known "$2" || rm -f "$to"
    [ -h "${1%/*}" ] || rmdir "$folder" 2>/dev/null || :
}
links_done() { [ -z "$own" ] || fail "not links of Mirrorfleet, or changed meanwhile:$own" 76; }
'

patience=30
as_user() {
    home=$(getent passwd "$1" | cut -d : -f 6)
    status=0
    rm -f "$stage/out"
    umask 077
    (
        ulimit -f 65536 # 32 MiB
        exec timeout -k 5 "$patience" runuser -u "$1" -- sh -c "$in_home$2" sh "$home" "$stage"
    ) </dev/null >"$stage/out" 2>&1 9>&- || status=$?
    umask 022
    case $status in
        0) return ;;
        75) how=changed ;;
        76) how=kept ;;
        124 | 137)
            how=skipped patience=5
            echo "the home does not answer in time" >>"$stage/out"
            ;;
        *) how=skipped ;;
    esac
    printf '%s\t%s\t%s\n' "$how" "$1" \
        "$(tr '\n' ' ' <"$stage/out" | tr -cd '\040-\176' | tail -c 500)"
}
