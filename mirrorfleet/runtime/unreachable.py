"""Why there is no connection to a host, in words, with the command that helps.

pyinfra has the reason as a text of its own or of paramiko.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from paramiko.ssh_exception import NoValidConnectionsError

DEFAULT = "~/.ssh/known_hosts"

NO_KEY = re.compile(r"No host key for (\S+) found")
OTHER_KEY = re.compile(r"Host key for (\S+) does not match")
LOGIN = re.compile(r"Authentication error|No authentication methods available")
NO_NAME = re.compile(r"resolve hostname|Name or service not known")
REFUSED = re.compile(r"Unable to connect|Connection refused")
SILENT = re.compile(r"timed out|No route to host|Network is unreachable", re.IGNORECASE)


def cause(name: str, error: str, data: Mapping[str, Any]) -> str:
    """Return why host ``name`` is not reached, and one fix. ``data`` is its login for pyinfra."""
    if "ssh_hostname" not in data:
        return error  # no SSH: the connector has its own fix
    address, port = data["ssh_hostname"], data.get("ssh_port") or 22
    login = f"{data['ssh_user']}@{address}" if data.get("ssh_user") else address
    option = f"-p {port} " if port != 22 else ""
    known = data.get("ssh_known_hosts_file") or DEFAULT
    if found := NO_KEY.search(error) or OTHER_KEY.search(error):
        return _host_key(found[1], known, is_other=not NO_KEY.search(error))
    if LOGIN.search(error):
        return (
            f"{address} refuses the login of {data.get('ssh_user') or 'your user'}. Run: "
            f"ssh-copy-id {option}{login}; or correct ssh.user and ssh.key."
        )
    if NO_NAME.search(error):
        return (
            f"'{address}' has no address in DNS. Correct hosts.{name}.address, or write an IP "
            "address."
        )
    if REFUSED.search(error):
        return (
            f"nothing listens on port {port} of {address}. Start sshd there, or correct "
            f"hosts.{name}.port."
        )
    if SILENT.search(error):
        return (
            f"no reply from {address} port {port}. Switch it on, or check VPN and firewalls: ssh "
            f"{option}{login} true"
        )
    return f"{error.rstrip('.')}. Test the login: ssh {option}{login} true"


def tried(error: BaseException) -> str:
    """Return the text of pyinfra's error, with those of the addresses that paramiko tried.

    paramiko's own text is the same for a port where nothing listens and for a host that is off.
    """
    reason = error.__context__
    if not isinstance(reason, NoValidConnectionsError):
        return str(error)
    return "; ".join(dict.fromkeys(f"{each}" for each in reason.errors.values()))


def _host_key(where: str, known: str, *, is_other: bool) -> str:
    """Return the cause and the commands for a host key. ``where`` is ADDRESS or [ADDRESS]:PORT."""
    found = re.fullmatch(r"\[(.+)\]:(\d+)", where)
    address, option = (found[1], f"-p {found[2]} ") if found else (where, "")
    file = known if known == DEFAULT else shlex.quote(known)
    scan = f"ssh-keyscan {option}{address} >>{file}"
    if is_other:
        return (
            f"the host key of {where} is not the one in {known}. If the host was installed again, "
            f"run: ssh-keygen -R {shlex.quote(where)} -f {file}; {scan}; then compare the "
            "fingerprint with the host's own."
        )
    return (
        f"the host key of {where} is not in {known}. Run: {scan}; then compare the fingerprint "
        "with the host's own."
    )
