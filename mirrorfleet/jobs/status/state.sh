# The state of a host: lines of fields between tabs, after all facts.
: "${state?}"
say status "$(uptime -p 2>/dev/null | cut -c 4-)" "$(cut -d ' ' -f 1 /proc/loadavg 2>/dev/null)" \
    "$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo 2>/dev/null)"
nvidia-smi --query-gpu=index,memory.used,memory.total,utilization.gpu --format=csv,noheader,nounits 2>/dev/null |
    while IFS=', ' read -r index used total busy; do
        case $index in [0-9]*) say gpu "$index" "$used" "$total" "$busy" ;; esac
    done
# Who changed the host last: the line that every script of a run writes.
[ ! -f "$state/applied" ] || say applied "$(head -n 1 "$state/applied" | head -c 500 | tr -cd '\11\40-\176')"
# All units of Mirrorfleet, including those that are no longer in the fleet file.
id=
set -- /etc/systemd/system/mirrorfleet-*.service
[ ! -e "$1" ] || {
    for path; do
        set -- "$@" "${path##*/}"
        shift
    done
    systemctl show --timestamp=unix -p Id,Type,ActiveState,StateChangeTimestamp,NRestarts,MemoryCurrent "$@"
    echo
} | while IFS='=' read -r key value; do
    case $key in
        Id) id=$value ;;
        Type) type=$value ;;
        ActiveState) active=$value ;;
        StateChangeTimestamp) since=${value#@} ;;
        NRestarts) restarts=$value ;;
        MemoryCurrent) memory=$value ;;
        '') # A container has its own cgroup, named after the unit.
            { read -r memory <"/sys/fs/cgroup/mirrorfleet.slice/$id.slice/memory.current"; } 2>/dev/null
            [ -z "$id" ] || say service "$id" "$active" "$type" "$since" "$restarts" "$memory" "$(date +%s)"
            id=
            ;;
    esac
done
