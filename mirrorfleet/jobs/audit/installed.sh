# Software on a host: lines of fields between tabs, after the facts: "installed", ecosystem (or
# "engine"), name, version, place; and "update", package, installed version, version of the security update.
root=/opt/mirrorfleet
seen=
# The environments and releases that units start, not those of former generations.
for unit in /etc/systemd/system/mirrorfleet-*.service; do
    [ -e "$unit" ] || continue
    # shellcheck disable=SC2013 # Mirrorfleet's paths have no spaces
    for path in $(grep -o "$root/[a-z]*/\(environments\|releases\)/[^/ \"]*" "$unit"); do
        case " $seen " in *" $path "*) continue ;; esac
        seen="$seen $path"
        case $path in
            */releases/*) # of an engine that is no Python package
                release=${path##*/}
                engine=${path#"$root"/}
                say installed engine "${engine%%/*}" "${release%-*}" "${path#"$root"/}"
                ;;
            */environments/*)
                for package in "$path"/lib/python*/site-packages/*.dist-info; do
                    [ -d "$package" ] || continue
                    package=${package##*/}
                    package=${package%.dist-info}
                    say installed PyPI "${package%-*}" "${package##*-}" "${path#"$root"/}"
                done
                ;;
        esac
    done
done
if [ -e /etc/systemd/system/mirrorfleet-litellm.service ] && grep -q /usr/bin/docker /etc/systemd/system/mirrorfleet-litellm.service; then
    docker exec mirrorfleet-litellm python3 -c '
from importlib.metadata import distributions
for one in distributions():
    print("installed", "PyPI", one.metadata["Name"], one.version, "the image of LiteLLM", sep="\t")
' 2>/dev/null
fi
# Clients, by the names of their folders: homes are not read.
for path in "$root"/claude/[0-9]*.[0-9]*.[0-9]* /home/*/.local/share/claude/versions/[0-9]*.[0-9]*.[0-9]*; do
    [ -e "$path" ] || continue
    case $path in
        /home/*) place=${path#/home/} place="a client that ${place%%/*} installed" ;;
        *) place=${path#"$root"/} ;;
    esac
    say installed npm @anthropic-ai/claude-code "${path##*/}" "$place"
done
# Packages of the distribution that Mirrorfleet installs. Known updates: those of the last
# `apt-get update`.
if command -v apt >/dev/null; then
    LC_ALL=C apt list --upgradable 2>/dev/null |
        sed -n 's,^\([^/]*\)/\([^ ]*security[^ ]*\) \([^ ]*\) .*upgradable from: \([^]]*\)\]$,\1 \4 \3,p' |
        while read -r package installed fixed; do
            case $package in
                haproxy | redis-server | redis-tools | postgresql | postgresql-[0-9]* | docker.io | containerd | runc | nftables)
                    say update "$package" "$installed" "$fixed"
                    ;;
            esac
        done
fi
