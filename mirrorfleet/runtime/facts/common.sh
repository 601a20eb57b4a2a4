# The shell functions of facts. Each prints all facts of a kind, as lines of fields between tabs. They
# run as root, from standard input, before their calls. They change nothing.
#
# They take most of the time of a run without changes. Every process costs a millisecond or two, so the
# shell itself does what it can.
# POSIX sh, for Linux and macOS. If a program is missing on the host, its facts are absent.
set -u
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

# shellcheck disable=SC2034 # for the files that need this one
tab=$(printf '\t')
say() {
    printf %s "$1"
    shift
    printf '\t%s' "$@"
    echo
}

machine() {
    # shellcheck disable=SC2046 # two words
    set -- $(uname -sm)
    kernel=$1 architecture=$2
    if [ "$kernel" = Darwin ]; then
        set -- macos "$(sw_vers -productVersion)" "$(sysctl -n hw.memsize)"
        memory=$(($3 / 1024))
    else
        # shellcheck disable=SC2046 # two words
        set -- $(
            # shellcheck source=/dev/null
            [ ! -r /etc/os-release ] || . /etc/os-release
            echo "${ID:-unknown} ${VERSION_ID:-unknown}"
        )
        while read -r key memory _; do [ "$key" != MemTotal: ] || break; done </proc/meminfo
    fi
    say machine "$1" "$2" "$architecture" "$(getconf _NPROCESSORS_ONLN)" "$memory"
}

user() {
    if command -v getent >/dev/null; then
        getent passwd "$@" | while IFS=: read -r name _ _ _ _ home _; do say user "$name" "$home"; done
    else # macOS
        for name; do id -P "$name"; done 2>/dev/null |
            while IFS=: read -r name _ _ _ _ _ _ _ home _; do say user "$name" "$home"; done
    fi
}

path() { for path; do [ ! -e "$path" ] || say path "$path"; done; }

link() { for path; do [ ! -h "$path" ] || say link "$path" "$(readlink "$path")"; done; }

# A file, or a directory with all files in it: type, mode and owner of each, and the digests of files
# as sha256sum prints them. Names with control characters or backslashes are omitted.
tree() {
    find "$@" ! -path '*[![:print:]]*' ! -path '*[\\]*' -printf 'tree\t%H\t%P\t%y %m %u:%g\n' \
        -type f -exec sha256sum {} + 2>/dev/null
}

# The content of a file.
content() { for path; do [ ! -f "$path" ] || say content "$path" "$(base64 <"$path" | tr -d '\n')"; done; }

# Mirrorfleet's services, including those that an interrupted run left without a unit.
services() {
    for names; do
        for path in /etc/systemd/system/mirrorfleet-$names.service /opt/mirrorfleet/$names/generations; do
            [ -e "$path" ] || continue
            path=${path#/etc/systemd/system/mirrorfleet-} path=${path#/opt/mirrorfleet/}
            path=${path%.service}
            say services "$names" "${path%/generations}"
        done
    done
}
