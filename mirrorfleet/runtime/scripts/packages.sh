# Install packages of the distribution.
#
# After an interrupted run, apt may still be locked, or dpkg was interrupted: pyinfra's own operation
# would fail. `check` waits for the lock, and fails for an interrupted dpkg.
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o DPkg::Lock::Timeout=300 check || dpkg --configure -a
    apt-get -qq update
    apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@" >/dev/null
}
