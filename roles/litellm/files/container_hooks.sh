# More hooks of a gateway that runs in a container, or has done so before.
#
# A Docker client that is stopped too early leaves its container behind, and nothing in a service
# without containers removes it. An image that another container uses stays.
: "${container?}" "${root?}"
tidy() {
    [ -e current/container.sh ] || docker rm --force "$container" >/dev/null 2>&1
    for recorded in "$root"/litellm/images/*; do
        [ -f "$recorded" ] || continue
        image=$(cat "$recorded")
        grep -qsF "$image" "$root"/litellm/generations/*/container.sh && continue
        docker image rm "$image" >/dev/null 2>&1
        rm -f "$recorded"
    done
}
# A signal between the creation of a container and its start is lost. Then systemd would wait for as
# long as turns may take.
abandon() { docker rm --force "$container" >/dev/null 2>&1; }
