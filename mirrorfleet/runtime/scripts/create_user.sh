# Create a system user. A package may have created it meanwhile, or only its group.
: "${user?}"
getent passwd "$user" >/dev/null || {
    set --
    ! getent group "$user" >/dev/null || set -- -g "$user"
    useradd -r -M -d /nonexistent -s /usr/sbin/nologin "$@" "$user"
}
