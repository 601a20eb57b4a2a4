# The state of NVIDIA's driver package in apt, and of its module in the kernel. Changes nothing, except
# that apt downloads the package lists on a new host without any.
driver() {
    ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 ||
        timeout 100 apt-get -qq update >/dev/null 2>&1
    release=$(uname -r) asked=$1 newest='' headers=/lib/modules/$(uname -r)/build
    # Debian's package does not include nvidia-smi, the CUDA library, and the daemon that creates the
    # device files of GPUs at boot.
    for each in $(candidates "$1" nvidia-smi libcuda1 nvidia-persistenced "linux-headers-$release"); do
        case $each in
            *=\(none\)) ;;
            "$1="*) newest=${each#*=} ;;
            linux-headers-*) headers=/ ;;
            "nvidia-smi=$newest" | "libcuda1=$newest" | nvidia-persistenced=*) asked="$asked ${each%%=*}" ;;
        esac
    done
    # shellcheck disable=SC2086 # names of packages
    apt-get -qq -y -s --no-install-recommends install $asked 2>&1 |
        while read -r word what rest; do
            case $word in
                Inst)
                    rest=${rest#*\(}
                    say driver "$1" offer "$what" "${rest%% *}"
                    ;;
                Remv) say driver "$1" offer "$what" '' ;;
                E:) say driver "$1" refused "$what $rest" ;;
            esac
        done
    status=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null)
    case $status in installed\ *) say driver "$1" installed "${status#* }" ;; esac
    for module in nvidia nouveau; do
        [ ! -d "/sys/module/$module" ] ||
            say driver "$1" "$module" "$(cat "/sys/module/$module/version" 2>/dev/null)"
    done
    [ -e "$headers" ] || say driver "$1" headless "$release"
    # The value follows four bytes of attributes. DKMS signs modules with a key of the host, which is in
    # the first path on Ubuntu, in the second on Debian.
    secure=$(od -An -t u1 -j 4 -N 1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c 2>/dev/null)
    case $secure in
        *1)
            for key in /var/lib/shim-signed/mok/MOK.der /var/lib/dkms/mok.pub; do
                mokutil --test-key "$key" 2>/dev/null
            done | grep -q 'already enrolled' || say driver "$1" unsigned ""
            ;;
    esac
}

# The newest version of each package in apt, in one call, because apt starts slowly.
candidates() {
    apt-cache policy "$@" 2>/dev/null | while read -r word value; do
        case $word in
            Installed:) ;;
            Candidate:) echo "$name=$value" ;;
            *:) name=${word%:} ;;
        esac
    done
}
