# Stop and remove the services that the positional parameters name.
#
# A service that cannot be stopped keeps all its files, and the next run tries again. Secrets are
# removed with the generations. Software and the records of Ollama's models stay.
: "${root?}" "${state?}"
for name; do
    unit=mirrorfleet-$name.service
    systemctl --quiet disable --now "mirrorfleet-$name.timer" 2>/dev/null || true
    systemctl --quiet stop "$unit" 2>/dev/null || true
    if systemctl --quiet is-active "$unit"; then
        echo "$unit cannot be stopped" >&2
        exit 1
    fi
    systemctl --quiet disable "$unit" 2>/dev/null || true
    rm -rf "/etc/systemd/system/$unit" "/etc/systemd/system/$unit.d"
    rm -f "/etc/systemd/system/mirrorfleet-$name.timer"
    for image in "$root/$name"/images/*; do # docker keeps images that other containers use
        [ -f "$image" ] || continue
        docker rm --force "mirrorfleet-$name" >/dev/null 2>&1 || true
        docker image rm "$(cat "$image")" >/dev/null 2>&1 || true
    done
    rm -rf "${state:?}/$name/cache"
    [ ! -d "$root/$name" ] || find "$root/$name" -mindepth 1 -maxdepth 1 ! -name generations \
        ! -name environments ! -name releases ! -name models.json ! -name pulled.json \
        -exec rm -rf {} +
    rm -rf "$root/$name/generations" # last: the next run finds a service by them
    rmdir "$root/$name" 2>/dev/null || true
done
systemctl daemon-reload
reserve_ports
