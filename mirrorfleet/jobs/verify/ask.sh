# Run Claude Code as a developer in a login shell. Calls of `turn`, `request` and `report` follow.
#
# The client writes conversations, caches and state into the home and the temporary directory. It gets
# a temporary home, with copies of the developer's settings and a link to the key.
: "${command?}" "${directory?}" "${limit?}"
: "${pasted?by turns.py}"
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
mkdir -p "$home/$directory/agents" "$home/$directory/skills" "$home/tmp"
# Copies: a client updates the settings of an older release in place.
settings=$directory/settings.json
[ ! -f "$HOME/$settings" ] || cp "$HOME/$settings" "$home/$settings"
key=$directory/mirrorfleet-key
[ ! -e "$HOME/$key" ] || ln -s "$HOME/$key" "$home/$key"
state=$directory/.claude.json
[ "$directory" != .claude ] || state=.claude.json
[ ! -f "$HOME/$state" ] || cp "$HOME/$state" "$home/$state"

# A skill that always runs in a subagent: a model would start one only sometimes. The agent's file has
# a model's id, also one of another release; "inherit" is the model of the session.
subagent() {
    mkdir "$home/$directory/skills/mirrorfleet-$1"
    cat >"$home/$directory/skills/mirrorfleet-$1/SKILL.md" <<END
---
name: mirrorfleet-$1
description: Answer from a subagent
context: fork
agent: mirrorfleet-$1
---
Answer with one word: ready.
END
    cat >"$home/$directory/agents/mirrorfleet-$1.md" <<END
---
name: mirrorfleet-$1
description: Answers with one word
model: $2
---
You answer with one word.
END
}

say login "$(command -v "$command")" "${CLAUDE_CONFIG_DIR-}"
unset CLAUDE_CONFIG_DIR XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME XDG_STATE_HOME
export HOME="$home" TMPDIR="$home/tmp" CLAUDE_CODE_TMPDIR="$home/tmp"
cd "$home" || exit 1
printf '%s\n' "$pasted" >"$home/pasted"
command -v timeout >/dev/null || timeout() {
    shift
    "$@"
} # macOS does not have it

# Run a command in an empty folder in the background, four at a time: a name, a file with its input, the
# command.
count=0
run() {
    count=$((count + 1))
    mkdir "$home/$count"
    (
        cd "$home/$count" || exit
        name=$1
        input=$2
        shift 2
        timeout "$limit" "$@" <"$input" >"$home/out.$count" 2>"$home/err.$count"
        code=$?
        made=no
        [ ! -e mirrorfleet-note.txt ] || made=yes
        say turn "$name" "$code" "$made" "$(packed "$home/out.$count")" \
            "$(packed "$home/err.$count")" >"$home/turn.$count"
    ) &
    [ $((count % 4)) -ne 0 ] || wait
}

# One call of the client: a name for it, then its arguments.
turn() {
    name=$1
    shift
    input=/dev/null
    [ "${name% *}" != pasted ] || input=$home/pasted
    run "$name" "$input" "$command" "$@"
}

# Prepare requests of a day: the URL, headers, a file of certificates. The key stands in a file: others
# can read arguments. The certificates are those of the system and the file, as for the client.
requests() {
    url=$1
    {
        printf '%s\n' "$2"
        printf 'authorization: Bearer %s\n' "$(cat "$home/$key")"
        printf 'x-claude-code-session-id: mirrorfleet-verify-%s\n' "$$"
    } >"$home/headers"
    for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem \
        /etc/ssl/ca-bundle.pem "$3"; do
        [ ! -f "$file" ] || cat "$file"
    done >"$home/authorities"
}

# One request: a name for it, its body.
request() {
    printf '%s' "$2" >"$home/body.$count"
    run "$1" "$home/body.$count" curl -isSN -m 60 --cacert "$home/authorities" -H "@$home/headers" \
        --data-binary @- "$url/v1/messages?beta=true"
}

# Print the reports of all calls.
report() {
    wait
    cat "$home"/turn.*
}
