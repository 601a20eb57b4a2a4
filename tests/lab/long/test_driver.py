"""deploys/drivers.py on a real host, with real apt and modprobe.

The driver is a stand-in, because the lab has no GPU: the test builds a package whose module is a
file below /run with its version, and whose nvidia-smi prints that version.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import look

CURRENT = "gpu:  {address: 10.77.0.11}"
WITH_DRIVER = "gpu:  {address: 10.77.0.11, gpus: {count: 1}, driver: nvidia-driver}"

BUILD = r"""
set -eu
rm -rf /var/tmp/driver && mkdir -p /var/tmp/driver && cd /var/tmp/driver
mkdir -p tree/DEBIAN tree/usr/bin tree/etc/modprobe.d
printf '%s\n' 'Package: nvidia-driver' 'Version: VERSION-1' 'Architecture: all' \
    'Maintainer: the lab <lab@example.com>' 'Depends: kmod' \
    'Description: a stand-in for a driver' >tree/DEBIAN/control
echo 'install nvidia echo VERSION >/run/nvidia-stand-in' >tree/etc/modprobe.d/nvidia-stand-in.conf
cat >tree/usr/bin/nvidia-smi <<'SMI'
#!/bin/sh
[ -e /run/nvidia-stand-in ] || { echo "NVIDIA-SMI has failed"; exit 9; }
read -r version </run/nvidia-stand-in
case $1 in
    --query-gpu=driver_version) echo "$version" ;;
    --query-gpu=index,memory.total,driver_version,uuid,compute_cap)
        echo "0, 81559, $version, GPU-2b4d0c3e-7f51-4a86-9c0d-5e1f3a7b8c9d, 9.0" ;;
esac
SMI
chmod 755 tree/usr/bin/nvidia-smi
dpkg-deb --build --root-owner-group tree driver.deb >/dev/null
{
    dpkg-deb -f driver.deb
    echo "Filename: ./driver.deb"
    echo "Size: $(stat -c %s driver.deb)"
    echo "SHA256: $(sha256sum driver.deb | cut -d ' ' -f 1)"
} >Packages
echo 'deb [trusted=yes] file:/var/tmp/driver ./' >/etc/apt/sources.list.d/driver.list
apt-get -qq update
"""

REMOVE = """
rm -rf /etc/apt/sources.list.d/driver.list /var/tmp/driver /run/nvidia-stand-in
dpkg --purge nvidia-driver >/dev/null 2>&1
apt-get -qq update
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Path]:
    try:
        yield look.variant(tmp_path, CURRENT, WITH_DRIVER)
    finally:
        look.run("gpu", REMOVE)


def drivers(fleet: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return look.pyinfra("-y", *options, str(fleet.with_suffix(".py")), "deploys/drivers.py")


def output_of(fleet: Path, *options: str) -> str:
    """Run deploys/drivers.py; return its output. It must succeed."""
    done = drivers(fleet, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return look.plain(done.stdout + done.stderr)


def test_a_driver_is_installed_loaded_and_upgraded(
    fleet: Path,
) -> None:
    refused = drivers(fleet)
    assert refused.returncode != 0
    assert (
        "nvidia-driver cannot be installed: Package 'nvidia-driver' has no installation candidate."
        in refused.stderr
    )
    assert "Debian has NVIDIA's drivers in non-free" in refused.stderr

    look.run("gpu", BUILD.replace("VERSION", "580.95.05"))
    before = look.state("gpu")
    assert "package nvidia-driver 580.95.05-1 will be installed" in output_of(fleet, "--dry")
    assert look.state("gpu") == before
    assert "NVIDIA's driver 580.95.05 runs; GPUs: 1" in output_of(fleet)
    assert look.changes(drivers(fleet, "--json")) == []

    look.run("gpu", BUILD.replace("VERSION", "590.10"))
    output = output_of(fleet)
    assert "NVIDIA's driver 580.95.05. Run this when a reboot is possible." in output
    assert "nvidia-driver is installed. Reboot the host to load it" in output
    assert look.changes(drivers(fleet, "--json")) == [], "the run does not reboot"
    assert "reboot the host to load nvidia-driver 590.10" in output_of(fleet)

    look.run("gpu", "rm /run/nvidia-stand-in")  # as a reboot does
    assert "NVIDIA's driver 590.10 runs; GPUs: 1" in output_of(fleet)
    assert look.changes(drivers(fleet, "--json")) == []
