# Install the packages of NVIDIA's driver that the positional parameters name.
: "${driver?}" "${builds?}"
# A half-installed package would block every other installation.
trap '[ $? = 0 ] || echo "$driver is not installed. If DKMS could not build it," \
    "see /var/lib/dkms/nvidia*/*/build/make.log; to remove it, run apt-get purge $driver and" \
    "apt-get autoremove." >&2' EXIT
if [ "$builds" = yes ]; then
    # Headers of the running kernel and of kernels from upgrades: DKMS builds the driver for each.
    [ -e "/lib/modules/$(uname -r)/build" ] || set -- "$@" "linux-headers-$(uname -r)"
    for each in $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'linux-image-[!0-9]*' 2>/dev/null |
        sed -n 's/^installed linux-image-/linux-headers-/p'); do
        [ -z "$(apt-cache show "$each" 2>/dev/null)" ] || set -- "$@" "$each"
    done
fi
install_packages "$@"
trap - EXIT
