# Files below users' homes. Goes with common.sh.
: "${kernel?by common.sh}" "${tab?by common.sh}"

# A file below a user's home is read as that user: a link in it leads nowhere the user cannot go.
# A home may be hostile. Only regular files are read, and none of more than 8 MiB. Each home has ten
# seconds, and one second once all homes together took a minute: a pipe that is swapped in after the
# test blocks, and a user can stop a process of his own. What a home answers is cut at 32 MiB, keeps
# no control characters, and each line gets its user's name from us. Nothing of the user's holds our
# own output open.
# shellcheck disable=SC2016 # a shell of its own expands it
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
