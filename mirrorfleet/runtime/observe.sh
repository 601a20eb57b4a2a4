# What is on this host? Functions that answer one question each, about all things of a kind, as
# lines of fields between tabs. Sent through standard input as root; the questions follow as calls
# at the end, after `machine`. Changes nothing.
#
# A run with nothing to change lasts as long as this does, and every process here costs a host a
# millisecond or two: so there are few of them, and the shell itself does what it can.
# POSIX sh, for Linux and macOS. What a host has no program for is not in its answer.
set -u
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

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

version=none
python() {
    version=$("$1" -V 2>/dev/null) || return 0
    version=${version#Python }
    say python "${version%%[!0-9.]*}" # 3.14.0rc1
}

# A Python environment that is whole, and of the Python that the host has by now: another release of
# the system may have brought another one, in which nothing that was installed is found. With it goes
# the first thing in it that another hand has changed since. The time of a status change tells: unlike
# that of a modification, no program sets it back.
environment() {
    for base; do
        for directory in "$base" "$base"-[2-9]; do
            [ -d "$directory/lib/python${version%.*}" ] && [ -e "$directory/.complete" ] || continue
            say environment "$directory" \
                "$(find "$directory" -cnewer "$directory/.complete" ! -path '*[![:print:]]*' -print -quit)"
        done
    done
}

# What is free where a path is, or will be.
disk() {
    for path; do
        there=$path
        until [ -e "${there:=/}" ]; do there=${there%/*}; done
        df -Pk "$there" | {
            read -r _
            IFS=% read -r head _
            # shellcheck disable=SC2086 # words
            set -- $head
            shift $(($# - 2)) # a file system's name can be several words
            say disk "$path" "$1"
        }
    done
}

user() {
    if command -v getent >/dev/null; then
        getent passwd "$@" | while IFS=: read -r name _ _ _ _ home _; do say user "$name" "$home"; done
    else # macOS
        for name; do id -P "$name"; done 2>/dev/null |
            while IFS=: read -r name _ _ _ _ _ _ _ home _; do say user "$name" "$home"; done
    fi
}

package() {
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        while read -r name status; do [ "$status" != installed ] || say package "$name"; done
}

path() { for path; do [ ! -e "$path" ] || say path "$path"; done; }

link() { for path; do [ ! -h "$path" ] || say link "$path" "$(readlink "$path")"; done; }

# A file, or a directory and all below it: kind, mode and owner of each, and the files' digests in
# the words of sha256sum. Names that nobody would give a file of ours do not concern us.
tree() {
    find "$@" ! -path '*[![:print:]]*' ! -path '*[\\]*' -printf 'file\t%p\t%y %m %u:%g\n' \
        -type f -exec sha256sum {} + 2>/dev/null
}

# How much of a file that is sent piece by piece has arrived.
sizes() { find "$@" -type f -printf 'size\t%p\t%s\n' 2>/dev/null; }

# What a server on this machine answers, when it does.
answer() {
    for url; do
        body=$(curl -fs --noproxy '*' -m 10 "$url" 2>/dev/null | base64 | tr -d '\n')
        [ -z "$body" ] || say answer "$url" "$body"
    done
}

# What a file of ours holds, where its digest is not enough.
content() { for path; do [ ! -f "$path" ] || say content "$path" "$(base64 <"$path" | tr -d '\n')"; done; }

# A file below a user's home is read as that user: a link in it leads nowhere the user cannot go.
# A home may be hostile. Only regular files are read, and none of more than 8 MiB. Each home has ten
# seconds, and one second once all homes together took a minute: a pipe that is swapped in after the
# test blocks, and a user can stop a process of his own. What a home answers is cut at 32 MiB, keeps
# no control characters, and each line gets its user's name from us. Nothing of the user's holds our
# own output open.
# shellcheck disable=SC2016 # the user's own shell expands it
READ='
cd "$1" 2>/dev/null || exit 0; about=$2 encode=$3; shift 3
for path do
    if [ ! -f "$path" ]; then
        [ ! -e "$path" ] || printf "%s\tirregular\t\n" "$path"
        continue
    fi
    said=$($about "$path")
    if [ "${said#*:}" -gt 8388608 ]; then
        printf "%s\toversized\t\n" "$path"
    elif body=$($encode <"$path" 2>/dev/null); then
        printf "%s\t%s\t%s\n" "$path" "${said%:*}" "$body"
    else
        printf "%s\tunreadable\t\n" "$path"
    fi
done
'
# shellcheck disable=SC2016 # a shell of its own expands it
AS_USER='as=$1 name=$2 read=$3; shift 3; $as "$name" -- sh -c "$read" sh "$@" </dev/null 2>/dev/null | head -c 33554432'
uptime() {
    { read -r up _ </proc/uptime; } 2>/dev/null || up=0
    up=${up%.*}
}
bounded() { if [ "$kernel" = Darwin ]; then "$@"; else timeout -k 1 "$patience" "$@"; fi; }
spent=0 patience=10
home_file() {
    case $kernel in
        Darwin) as='sudo -n -u' about='stat -L -f %Lp:%z' encode=base64 ;;
        *) as='runuser -u' about='stat -L -c %a:%s' encode='base64 -w 0' ;;
    esac
    name=$1
    shift
    home=$(user "$name") && home=${home##*"$tab"}
    [ -n "$home" ] || return 0
    [ "$spent" -lt 60 ] || patience=1
    uptime
    began=$up
    {
        bounded sh -c "$AS_USER" sh "$as" "$name" "$READ" "$home" "$about" "$encode" "$@"
        [ $? -lt 124 ] || for path; do printf '%s\tslow\t\n' "$path"; done
    } | sed "s|[^ -~$tab]||g; s|^|home_file$tab$name$tab|"
    uptime
    spent=$((spent + up - began))
}

# Clients of users' own, which a shell may find before ours. Where a user's link leads, the user
# names: no line of such a name may pass for an answer of ours. It may lead to a file system that
# does not answer.
# shellcheck disable=SC2016 # a shell of its own expands it
OWN='
tab=$(printf "\t")
while IFS=$tab read -r _ name home; do
    for path in .local/bin/claude .claude/local/claude .npm-global/bin/claude; do
        [ -x "$home/$path" ] || continue
        target=$(readlink -f "$home/$path" | tr -cd "\040-\176")
        printf "own_client\t%s\t%s\t%s\n" "$name" "$path" "$target"
    done
done
'
own_client() { user "$@" | bounded sh -c "$OWN"; }

# Where earlier runs left Claude Code's settings: a user and a directory per line of a list. The
# lines that are given are asked for anyway.
seats() {
    list=$1
    shift
    [ ! -f "$list" ] || printf '%s\n' "$@" | grep -vxFf - "$list" | while read -r owner directory; do
        say seat "$owner" "$directory"
        user "$owner"
        state=$directory/.claude.json
        [ "$directory" != .claude ] || state=.claude.json
        home_file "$owner" "$directory/settings.json" "$state" "$directory/mirrorfleet-key" \
            "$directory/mirrorfleet-receipt.json" </dev/null
    done
}

# What runs is told by the process itself: the generation in the environment it was started with.
unit() {
    id=
    {
        systemctl show -p Id,MainPID,ActiveState,UnitFileState,NeedDaemonReload,DropInPaths "$@"
        echo
    } 2>/dev/null |
        while IFS="=" read -r key value; do
            case $key in
                Id) id=$value ;;
                MainPID) pid=$value ;;
                ActiveState) active=$value ;;
                UnitFileState) enabled=$value ;;
                NeedDaemonReload) reload=$value ;;
                DropInPaths) drop_ins=$value ;;
                '') [ -z "$id" ] ||
                    say unit "$id" "$active" "${enabled:-no}" "$(generation "$pid")" "$reload" "$drop_ins" ;;
            esac
        done
}
generation() {
    [ "$1" = 0 ] || tr '\0' '\n' <"/proc/$1/environ" | while IFS="=" read -r name value; do
        [ "$name" != MIRRORFLEET_GENERATION ] || echo "$value"
    done
} 2>/dev/null

# Who listens on a TCP port: the system's unit, or the command of a process that has none. A user's
# own unit has any name, and is none of the system's.
port() {
    ports=$(printf ' or sport = :%s' "$@")
    ss -Hltnp "${ports# or }" 2>/dev/null | while read -r _ _ _ local _ users; do
        while [ "${users#*pid=}" != "$users" ]; do
            users=${users#*pid=}
            # A process names itself as it likes: no line of such a name passes for an answer.
            say port "${local##*:}" "$(owner "${users%%,*}" | tr -cd '\040-\176')"
        done
    done
}
owner() {
    while IFS= read -r group; do
        group=${group#*:} group=${group#name=systemd}
        case $group in :/system.slice/*.service* | :/mirrorfleet*.service.slice/*)
            group=${group%%.service*}
            echo "${group##*/}.service"
            return
            ;;
        esac
    done <"/proc/$1/cgroup"
    read -r command <"/proc/$1/comm" && printf %s "$command"
} 2>/dev/null

# What a table of nftables holds, in short.
table() {
    for name; do
        body=$(nft -s list table inet "$name" 2>/dev/null) || continue
        # shellcheck disable=SC2046 # the digest and a dash
        set -- $(printf %s "$body" | sha256sum)
        say table "$name" "$1"
    done
}

# From which address this host talks to another.
route() {
    for address; do
        line=$(ip -o route get "$address" 2>/dev/null) || continue
        case $line in *' src '*)
            line=${line#* src }
            say route "$address" "${line%% *}"
            ;;
        esac
    done
}

# The network card that has an address.
card() {
    for address; do
        # shellcheck disable=SC2046 # a line of words
        set -- $(ip -o addr show to "$address" 2>/dev/null)
        [ -z "${2-}" ] || say card "$address" "$2"
    done
}

# Ports of other hosts from which nothing comes back. That nobody listens there is an answer too.
unreached() {
    for way; do
        # shellcheck disable=SC2016 # a shell of its own expands it
        said=$(timeout 3 bash -c ': </dev/tcp/${0% *}/${0#* }' "$way" 2>&1) && said=refused
        case $said in *refused*) ;; *) say unreached "$way" ;; esac
    done
}

# Services of ours, also those that a cut run has left without a unit.
services() {
    for names; do
        for path in /etc/systemd/system/mirrorfleet-$names.service /opt/mirrorfleet/$names/generations; do
            [ -e "$path" ] || continue
            path=${path#/etc/systemd/system/mirrorfleet-} path=${path#/opt/mirrorfleet/}
            path=${path%.service}
            say service "${path%/generations}"
        done
    done
}

# Which of these container images Docker has.
image() {
    for name; do
        ! docker image inspect "$name" >/dev/null 2>&1 </dev/null || say image "$name"
    done
}

clock() { say clock "$1" "$(date "+%s")"; }

# Bytes of the weights in a directory. Some models come with a second copy by another name.
bulk() {
    for path; do
        set -- "$path"/model-*-of-*.safetensors
        [ -e "$1" ] || set -- "$path/model.safetensors"
        # shellcheck disable=SC2046 # the sum and a word
        set -- $(du -cLb "$@" 2>/dev/null | tail -n 1)
        [ "${1:-0}" = 0 ] || say bulk "$path" "$1"
    done
}
