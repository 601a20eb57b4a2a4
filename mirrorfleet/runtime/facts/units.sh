# The state of units. The running generation is in the environment with which the process was started.
unit() {
    id=
    {
        systemctl show -p Id,MainPID,ActiveState,UnitFileState,NeedDaemonReload,DropInPaths "$@"
        echo
    } 2>/dev/null |
        while IFS="=" read -r key value; do
            case $key in
                Id) id=$value ;;
                MainPID) pid=$value ;;
                ActiveState) active=$value ;;
                UnitFileState) enabled=$value ;;
                NeedDaemonReload) reload=$value ;;
                DropInPaths) drop_ins=$value ;;
                '') [ -z "$id" ] ||
                    say unit "$id" "$active" "${enabled:-no}" "$(generation "$pid")" "$reload" "$drop_ins" ;;
            esac
        done
}

generation() {
    [ "$1" = 0 ] || tr '\0' '\n' <"/proc/$1/environ" | while IFS="=" read -r name value; do
        [ "$name" != MIRRORFLEET_GENERATION ] || echo "$value"
    done
} 2>/dev/null

# The owners of a TCP port: system units, or the commands of processes without one. A user's own unit
# can have any name, so it does not count as a unit.
port() {
    ports=$(printf ' or sport = :%s' "$@")
    ss -Hltnp "${ports# or }" 2>/dev/null | while read -r _ _ _ local _ users; do
        while [ "${users#*pid=}" != "$users" ]; do
            users=${users#*pid=}
            # A process can choose its name: remove characters that could forge a line.
            say port "${local##*:}" "$(owner "${users%%,*}" | tr -cd '\040-\176')"
        done
    done
}

owner() {
    while IFS= read -r group; do
        group=${group#*:} group=${group#name=systemd}
        case $group in :/system.slice/*.service* | :/mirrorfleet*.service.slice/*)
            group=${group%%.service*}
            echo "${group##*/}.service"
            return
            ;;
        esac
    done <"/proc/$1/cgroup"
    read -r command <"/proc/$1/comm" && printf %s "$command"
} 2>/dev/null
