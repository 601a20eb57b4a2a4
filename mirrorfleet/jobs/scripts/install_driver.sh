# Install the packages of NVIDIA's driver that the positional parameters name.
: "${driver?}" "${builds?}"
# A package that is half installed would be in the way of every other.
trap '[ $? = 0 ] || echo "$driver is not installed. Where DKMS could not build it," \
    "/var/lib/dkms/nvidia*/*/build/make.log says why; apt-get purge $driver and apt-get autoremove" \
    "take it off again." >&2' EXIT
if [ "$builds" = yes ]; then
    # Of the kernel that runs, and of those that an upgrade brings: DKMS builds the driver for each.
    [ -e "/lib/modules/$(uname -r)/build" ] || set -- "$@" "linux-headers-$(uname -r)"
    for each in $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'linux-image-[!0-9]*' 2>/dev/null |
        sed -n 's/^installed linux-image-/linux-headers-/p'); do
        [ -z "$(apt-cache show "$each" 2>/dev/null)" ] || set -- "$@" "$each"
    done
fi
install_packages "$@"
trap - EXIT
