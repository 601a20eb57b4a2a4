# Run Claude Code as a developer in a login shell. Calls of `turn` follow.
#
# The client writes conversations, caches and state into the home and the temporary directory. It gets
# a temporary home, with copies of the developer's settings and a link to the key.
: "${command?}" "${directory?}" "${limit?}"
umask 077
say() {
    printf '%s' "$1"
    shift
    printf '\t%s' "$@"
    printf '\n'
}
packed() { sed "s|$home/|~/|g" <"$1" | base64 | tr -d '\n'; }

home=$(mktemp -d) || exit 1
trap 'rm -rf "$home"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$home/$directory" "$home/tmp" "$home/work/.claude/skills/mirrorfleet-verify"
# Copies: a client updates the settings of an older release in place.
settings=$directory/settings.json
[ ! -f "$HOME/$settings" ] || cp "$HOME/$settings" "$home/$settings"
[ ! -e "$HOME/$directory/mirrorfleet-key" ] ||
    ln -s "$HOME/$directory/mirrorfleet-key" "$home/$directory/mirrorfleet-key"
state=$directory/.claude.json
[ "$directory" != .claude ] || state=.claude.json
[ ! -f "$HOME/$state" ] || cp "$HOME/$state" "$home/$state"
# A skill that always runs in a subagent: a model would start one only sometimes.
cat >"$home/work/.claude/skills/mirrorfleet-verify/SKILL.md" <<'END'
---
name: mirrorfleet-verify
description: Answer from a subagent
context: fork
agent: general-purpose
---
Answer with one word: ready.
END

say login "$(command -v "$command")" "${CLAUDE_CONFIG_DIR-}"
unset CLAUDE_CONFIG_DIR XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME XDG_STATE_HOME
export HOME="$home" TMPDIR="$home/tmp" CLAUDE_CODE_TMPDIR="$home/tmp"
cd "$home/work" || exit 1
command -v timeout >/dev/null || timeout() {
    shift
    "$@"
} # macOS does not have it

# One call of the client: a name for it, then its arguments.
turn() {
    name=$1
    shift
    timeout "$limit" "$command" "$@" </dev/null >"$home/out" 2>"$home/err"
    code=$?
    made=no
    [ ! -e mirrorfleet-note.txt ] || made=yes
    rm -f mirrorfleet-note.txt
    say turn "$name" "$code" "$made" "$(packed "$home/out")" "$(packed "$home/err")"
}
