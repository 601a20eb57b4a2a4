# What is on this host? Functions that answer one question each, as lines of fields between tabs.
# Sent through standard input as root; the questions follow as calls at the end. Changes nothing.
set -u
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

say() { printf '%s' "$1"; shift; printf '\t%s' "$@"; printf '\n'; }
digest() { sha256sum | cut -d ' ' -f 1; }
home_of() { getent passwd "$1" | cut -d : -f 6; }
machine() {
    id=unknown version=unknown
    [ -r /etc/os-release ] && id=$(. /etc/os-release; echo "${ID:-unknown}") &&
        version=$(. /etc/os-release; echo "${VERSION_ID:-unknown}")
    say machine "$id" "$version" "$(uname -m)" "$(getconf _NPROCESSORS_ONLN)" \
        "$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)" \
        "$(python3 -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || echo none)"
}

user() { getent passwd "$1" >/dev/null && say user "$1" "$(home_of "$1")"; }

package() {
    case $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) in *' installed') say package "$1" ;; esac
}

path() { [ -e "$1" ] && say path "$1"; }

link() { [ -h "$1" ] && say link "$1" "$(readlink "$1")"; }

file() { [ -f "$1" ] && say file "$1" "$(stat -c '%a %U:%G' "$1") $(digest <"$1")"; }

# A file of ours that says more than whether it is the right one.
text() { [ -f "$1" ] && say text "$1" "$(base64 <"$1" | tr -d '\n')"; }

# What a server on this machine answers, when it does.
answer() {
    body=$(curl -fs --noproxy '*' -m 10 "$1" 2>/dev/null | base64 | tr -d '\n')
    [ -n "$body" ] && say answer "$1" "$body"
}

# A tree is one digest over names, kinds, modes, owners, link targets and contents.
tree() {
    [ -d "$1" ] && say tree "$1" "$(
        cd "$1" && {
            find . -printf '%p %y %m %u:%g %l\n' | sort
            find . -type f -print0 | sort -z | xargs -0r sha256sum
        } | digest
    )"
}

# Of a service, every generation that is on the host.
trees() { for directory in "$1"/*/; do tree "${directory%/}"; done; }

# A file below a user's home is read as that user: a link in it leads nowhere the user cannot go.
home_file() {
    home=$(home_of "$1"); [ -n "$home" ] || return 0
    runuser -u "$1" -- test -f "$home/$2" &&
        say home_file "$1" "$2" "$(runuser -u "$1" -- stat -L -c '%a' "$home/$2")" \
            "$(runuser -u "$1" -- cat "$home/$2" | base64 | tr -d '\n')"
}

# Where earlier runs left Claude Code's settings: a user and a directory per line of a list. Those
# that are given as user/directory are asked for anyway.
seats() {
    list=$1; shift
    [ -f "$list" ] && while read -r owner directory; do
        case " $* " in *" $owner/$directory "*) continue ;; esac
        say seat "$owner" "$directory"
        user "$owner"
        state=$directory/.claude.json
        [ "$directory" != .claude ] || state=.claude.json
        for each in "$directory/settings.json" "$state" "$directory/mirrorfleet-key" \
            "$directory/mirrorfleet-receipt.json"; do
            home_file "$owner" "$each" </dev/null
        done
    done <"$list"
}

# What runs is told by the process itself: the generation in the environment it was started with.
unit() {
    pid=$(systemctl show -p MainPID --value "$1")
    enabled=$(systemctl is-enabled "$1" 2>/dev/null)
    say unit "$1" "$(systemctl is-active "$1")" "${enabled:-no}" \
        "$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | sed -n 's/^MIRRORFLEET_GENERATION=//p')" \
        "$(systemctl show -p NeedDaemonReload --value "$1")" \
        "$(systemctl show -p DropInPaths --value "$1")"
}

# Who listens on a TCP port: the systemd unit, or the command of a process that has none.
port() {
    ss -Hltnp "sport = :$1" | grep -o 'pid=[0-9]*' | sort -u | while IFS== read -r _ pid; do
        owner=$(sed -n 's|.*/\([^/]*\.service\).*|\1|p' "/proc/$pid/cgroup" | head -n 1)
        say port "$1" "${owner:-$(cat "/proc/$pid/comm")}"
    done
}
