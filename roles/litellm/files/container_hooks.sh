# What a gateway that runs in a container, or did before, does besides.
#
# A client of Docker that was stopped too early leaves its container behind; nothing of a service
# without containers removes it. An image that something else runs from stays, ours no more.
: "${container?}" "${root?}"
tidy() {
    [ -e current/container.sh ] || docker rm --force "$container" >/dev/null 2>&1
    for brought in "$root"/litellm/images/*; do
        [ -f "$brought" ] || continue
        image=$(cat "$brought")
        grep -qsF "$image" "$root"/litellm/generations/*/container.sh && continue
        docker image rm "$image" >/dev/null 2>&1
        rm -f "$brought"
    done
}
# A signal that comes between a container's creation and its start is lost, and systemd would wait
# for as long as turns may take.
abandon() { docker rm --force "$container" >/dev/null 2>&1; }
