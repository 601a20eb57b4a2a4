"""The end state in pyinfra's own operations, in the style of its documentation."""

from pyinfra import host
from pyinfra.operations import files, server, systemd
from pyinfra.operations.util import any_changed

state = host.data

server.user(
    name="system user",
    user=state.user,
    system=True,
    home="/nonexistent",
    create_home=False,
    ensure_home=False,
    shell="/usr/sbin/nologin",
)
files.directory(name="generations", path=state.generations, user="root", group="root", mode="755")
generation = files.directory(
    name="generation", path=state.generation, user="root", group=state.user, mode="750"
)
placed = []
for file in host.loop(state.files):  # type: ignore[no-untyped-call]
    placed.append(
        files.put(
            name=f"file {file['path'].rpartition('/')[2]}",
            src=file["source"],
            dest=file["path"],
            user=file["owner"],
            group=file["group"],
            mode=file["mode"],
        )
    )
link = files.link(
    name="current",
    path=state.link,
    target=f"generations/{state.generation.rpartition('/')[2]}",
    user="root",
    group="root",
)
# One gateway after the other, as Mirrorfleet does.
server.shell(
    name="restart, wait until it serves",
    commands=[state.restart],
    _if=any_changed(*placed, link),
    _serial=True,
)
systemd.service(name="service", service=state.unit, running=True, enabled=True)
