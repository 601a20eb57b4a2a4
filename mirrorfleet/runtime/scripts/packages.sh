# Install packages of the distribution.
#
# Not by pyinfra's own operation: after a run that was cut, it finds apt locked by what that run
# left at work, or dpkg interrupted. `check` waits for the one and fails for the other.
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o DPkg::Lock::Timeout=300 check || dpkg --configure -a
    apt-get -qq update
    apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@" >/dev/null
}
