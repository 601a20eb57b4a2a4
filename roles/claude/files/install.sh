#!/bin/sh
# Claude Code of the group @GROUP@, on a machine that Mirrorfleet does not reach over SSH.
#   sh install.sh              installs, or brings up to date
#   sh install.sh --remove     takes it back
# For Linux, WSL and macOS; POSIX sh.
set -eu
umask 022

scope=@SCOPE@ version=@VERSION@ directory=@DIRECTORY@ command=@COMMAND@ certificate=@CERTIFICATE@
personal=@PERSONAL@ # whether this is for one developer alone, with a key

fail() { echo "$0: $1" >&2; exit 1; }
told() { echo "$1"; }
[ "$*" = "" ] || [ "$*" = --remove ] || fail "takes --remove or nothing"

case $(uname -s) in
    Darwin) policy="/Library/Application Support/ClaudeCode/managed-settings.d/50-mirrorfleet.json" ;;
    Linux) policy=/etc/claude-code/managed-settings.d/50-mirrorfleet.json ;;
    *) fail "is for Linux, WSL and macOS" ;;
esac

if [ "$scope" = managed ] && [ "$personal" = no ]; then
    [ "$(id -u)" = 0 ] || fail "sets up the whole machine: run it as root (sudo sh $0)"
    software=/opt/mirrorfleet/claude commands=/usr/local/bin
else
    [ "$(id -u)" != 0 ] || fail "sets up one home: run it as the developer, not as root"
    software=$HOME/.local/share/mirrorfleet/claude commands=$HOME/.local/bin
fi
home=$HOME/$directory key=$HOME/$directory/mirrorfleet-key
[ "$directory" = .claude ] && state=$HOME/.claude.json || state=$home/.claude.json
[ ! -h "$home" ] || [ -d "$home" ] || fail "finds no directory behind the link $home"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What this installer carries.
settings() { cat <<'MIRRORFLEET_END'
@SETTINGS@
MIRRORFLEET_END
}
own_state() { cat <<'MIRRORFLEET_END'
@STATE@
MIRRORFLEET_END
}
certificates() { cat <<'MIRRORFLEET_END'
@CERTIFICATES@
MIRRORFLEET_END
}
launcher() { cat <<'MIRRORFLEET_END'
@LAUNCHER@
MIRRORFLEET_END
}
the_key() { printf '%s' @KEY@; }
own_files() { cat <<'MIRRORFLEET_END'
@OWN_FILES@
MIRRORFLEET_END
}
# Name, file and sha512 of the client's package for this machine.
package() {
    case $(uname -sm) in
@PACKAGES@
        *) fail "knows no client for $(uname -sm)" ;;
    esac
}

# Standard input becomes the file $1, of mode $2. A reader finds the old one or the new one, whole.
put() {
    mkdir -p "$(dirname "$1")"
    [ ! -d "$1" ] || fail "finds a directory where $1 is to be"
    rm -f "$1".mirrorfleet.* # of one that was cut
    new=$(mktemp "$1.mirrorfleet.XXXXXX")
    cat >"$new"
    chmod "$2" "$new"
    mv -f "$new" "$1"
}

client() {
    there=$software/$version/claude
    [ ! -x "$there" ] || return 0
    which=$(package) || exit 1
    set -- $which
    file=$(dirname "$0")/$2
    if [ ! -f "$file" ]; then
        command -v npm >/dev/null || fail "needs npm, or $2 beside it"
        (cd "$work" && npm pack --silent "$1@$version" >/dev/null) || fail "cannot fetch $1 $version"
        file=$work/$2
    fi
    sums=sha512sum
    command -v sha512sum >/dev/null || sums='shasum -a 512'
    found=$($sums <"$file")
    [ "${found%% *}" = "$3" ] || fail "finds another $2 than the one that is pinned; nothing was installed"
    tar -xzf "$file" -C "$work" package/claude
    put "$there" 755 <"$work/package/claude"
    told "client: $there"
}

# A command of ours, unless somebody else's is in its place.
command_of_ours() {
    [ ! -e "$1" ] && [ ! -h "$1" ] && return 0
    case $(readlink "$1" 2>/dev/null) in "$software"/*) return 0 ;; esac
    grep -q 'Written by Mirrorfleet' "$1" 2>/dev/null
}
link() {
    command_of_ours "$commands/$1" || fail "finds a $commands/$1 that is not ours. Remove it, or call the client as $2"
    mkdir -p "$commands"
    ln -sfn "$2" "$commands/$1.mirrorfleet" && mv -f "$commands/$1.mirrorfleet" "$commands/$1"
    told "command: $commands/$1"
    case :$PATH: in *":$commands:"*) ;; *) told "put $commands into your PATH" ;; esac
}

# Into a file of the developer's own, only our keys are written: that takes a program, and is the
# same one as over SSH.
settle() {
    python3 -c '' 2>/dev/null || fail "needs python3 to write into your own settings. \
Install it, or ask for a package of scope managed or isolated."
    settings >"$work/settings" && own_state >"$work/state" && own_files >"$work/own_files.py"
    [ "$scope" = user ] || echo '{}' >"$work/settings"
    (umask 077 && python3 "$work/own_files.py" "$1" "$directory" "$work/settings" "$work/state")
}

hand_over_key() {
    mkdir -p "$home"
    the_key | put "$key" 600
    told "key: $key"
}

# The settings of an isolated group are a file of ours, until somebody else writes to it. What they are
# about to be is written down before, and what they are afterwards: it may be cut in between.
unchanged_settings() {
    last=$home/mirrorfleet-settings.json next=$home/mirrorfleet-settings.next.json
    if [ -e "$home/settings.json" ] && ! cmp -s "$home/settings.json" "$last"; then
        cmp -s "$home/settings.json" "$next" ||
            fail "finds $home/settings.json changed by hand. Move it away, then run this again"
        mv -f "$next" "$last"
    fi
}

install() {
    if [ "$scope" = managed ] && [ "$personal" = no ]; then
        command_of_ours "$commands/claude" || fail "finds a $commands/claude that is not ours. Remove it first"
        client
        [ -z "$certificate" ] || certificates | put "$certificate" 644
        link claude "$software/$version/claude"
        settings | put "$policy" 644
        told "policy: $policy"
        return
    fi
    case $scope in
        user) client; settle install ;;
        isolated)
            mkdir -p "$home" && chmod 700 "$home"
            # Before anything can stop it: the key may be a new one, and the former dead.
            [ "$personal" = no ] || hand_over_key
            unchanged_settings
            client
            [ -e "$state" ] || own_state | put "$state" 600
            settings | put "$next" 600
            settings | put "$home/settings.json" 600
            mv -f "$next" "$last"
            ;;
        managed)
            if [ ! -e "$state" ]; then own_state | put "$state" 600
            elif python3 -c '' 2>/dev/null; then settle install
            else told "left alone: $state, without python3"; fi ;;
    esac
    if [ "$personal" = yes ]; then
        [ "$scope" = isolated ] || hand_over_key
    elif [ ! -e "$key" ]; then
        told "without a key yet: $key comes with your own installer"
    fi
    case $scope in
        user) link claude "$software/$version/claude" ;;
        isolated)
            command_of_ours "$commands/$command" || fail "finds a $commands/$command that is not ours"
            launcher | sed "s|@CLIENT@|$software/$version/claude|" | put "$commands/$command" 755
            told "command: $commands/$command"
            ;;
    esac
}

# Another package of this person may have brought a command that starts the same client.
in_use() {
    for each in "$commands"/*; do
        if [ -h "$each" ]; then
            [ "$(readlink "$each")" != "$software/$version/claude" ] || return 0
        elif grep -qsF "$software/$version/claude" "$each"; then
            return 0
        fi
    done
    return 1
}

remove() {
    if [ "$scope" = managed ] && [ "$personal" = no ]; then
        rm -f "$policy"
        rmdir "$(dirname "$policy")" 2>/dev/null || :
        [ -z "$certificate" ] || rm -f "$certificate"
    else
        rm -f "$key" "$key".mirrorfleet.*
        case $scope in
            isolated)
                unchanged_settings
                rm -f "$home/settings.json" "$home/settings.json".mirrorfleet.* "$last"* "$next"*
                rmdir "$home" 2>/dev/null || :
                ;;
            *) [ ! -e "$home/mirrorfleet-receipt.json" ] || settle remove ;;
        esac
    fi
    rm -f "$state".mirrorfleet.*
    for each in claude "$command"; do
        [ -z "$each" ] || rm -f "$commands/$each".mirrorfleet "$commands/$each".mirrorfleet.*
        [ -z "$each" ] || [ "$scope$each" = isolatedclaude ] || [ "$scope$personal" = managedyes ] ||
            ! command_of_ours "$commands/$each" || rm -f "$commands/$each"
    done
    [ "$scope$personal" = managedyes ] || in_use || rm -rf "$software/$version"
    told "removed; what you have written yourself is as it was"
}

if [ "$*" = --remove ]; then remove; else install; fi
