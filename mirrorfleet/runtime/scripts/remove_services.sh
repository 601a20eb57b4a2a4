# Stop and remove the services that the positional parameters name.
#
# A service that cannot be stopped keeps all that it has, and the next run tries again. Secrets go
# with the generations. Software stays, and the list of an Ollama's models.
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
    for image in "$root/$name"/images/*; do # what others run from stays
        [ -f "$image" ] || continue
        docker rm --force "mirrorfleet-$name" >/dev/null 2>&1 || true
        docker image rm "$(cat "$image")" >/dev/null 2>&1 || true
    done
    [ ! -d "$root/$name" ] || find "$root/$name" -mindepth 1 -maxdepth 1 \
        ! -name environments ! -name releases ! -name models.json -exec rm -rf {} +
    rm -rf "${state:?}/$name/cache"
    rmdir "$root/$name" 2>/dev/null || true
done
systemctl daemon-reload
reserve_ports
