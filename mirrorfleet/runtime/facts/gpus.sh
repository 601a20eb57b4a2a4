# NVIDIA's GPUs, or the message of nvidia-smi if it reports none. A GPU that shares the machine's memory
# reports no memory.
gpus() {
    command -v "$1" >/dev/null || return 0
    lines=$(query "$1" ,compute_cap)
    case $?$lines in
        124*) lines='no answer within 60 seconds' ;;
        *'not a valid field'*) lines=$(query "$1" '') ;; # a driver of before 2022
    esac
    echo "$lines" | while IFS=, read -r index memory driver uuid capability; do
        case $driver in
            ' '[0-9]*)
                memory=${memory# }
                say gpus "$1" gpu "$index" "${memory%%[!0-9]*}" "${driver# }" "${capability# }" \
                    "${uuid# }"
                ;;
            *) say gpus "$1" message "$index${memory:+,$memory}${driver:+,$driver,$uuid${capability:+,$capability}}" ;;
        esac
    done
    # PCI class 0680, a bridge, of vendor 10de: NVSwitch.
    grep -l 0x068000 /sys/bus/pci/devices/*/class 2>/dev/null | while read -r class; do
        read -r vendor <"${class%class}vendor"
        [ "$vendor" != 0x10de ] || say gpus "$1" nvswitch
    done
}
query() { timeout 60 "$1" --query-gpu="index,memory.total,driver_version,uuid$2" --format=csv,noheader,nounits 2>&1; }
