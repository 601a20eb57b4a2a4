# Files in users' homes. Needs common.sh.
: "${kernel?by common.sh}" "${tab?by common.sh}"

# The user reads a file in a home, so a link in it leads only where the user has access.
# A home may be hostile. Only regular files up to 8 MiB are read. Each home has ten seconds, and one
# second after all homes together took a minute: a pipe that replaces a file after the test blocks,
# and users can stop their own processes. The output of a home is truncated at 32 MiB, loses control
# characters, and this script adds the user's name to each line. No process of the user can keep this
# script's output open.
# shellcheck disable=SC2016 # a shell of its own expands it
READ='
cd "$1" 2>/dev/null || exit 0; about=$2 encode=$3; shift 3
row() { printf "%s\t%s\t%s\n" "$path" "$1" "${2-}"; }
for path do
    for each in "$path".mirrorfleet.*; do
        [ ! -f "$each" ] || { row left && break; }
    done
    if [ ! -f "$path" ]; then
        [ ! -e "$path" ] || row irregular
        continue
    fi
    stat=$($about "$path")
    if [ "${stat#*:}" -gt 8388608 ]; then
        row oversized
    elif body=$($encode <"$path" 2>/dev/null); then
        row "${stat%:*}" "$body"
    else
        row unreadable
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
timed() {
    [ "$spent" -lt 60 ] || patience=1
    uptime
    began=$up
    "$@"
    uptime
    spent=$((spent + up - began))
}
label() { sed "s|[^ -~$tab]||g; s|^|$1$tab|"; }
home_file() {
    case $kernel in
        Darwin) as='sudo -n -u' about='stat -L -f %Lp:%z' encode=base64 ;;
        *) as='runuser -u' about='stat -L -c %a:%s' encode='base64 -w 0' ;;
    esac
    name=$1
    shift
    home=$(user "$name") && home=${home##*"$tab"}
    [ -n "$home" ] || return 0
    timed read_home "$@"
}
read_home() {
    {
        bounded sh -c "$AS_USER" sh "$as" "$name" "$READ" "$home" "$about" "$encode" "$@"
        [ $? -lt 124 ] || for path; do printf '%s\tslow\t\n' "$path"; done
    } | label "home_file$tab$name"
}
