"""Pure: a group's policy as files for device management (MDM) on macOS and Windows."""

from __future__ import annotations

import json
import plistlib
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from mirrorfleet.planning.connection import KEY_FILE

DOMAIN = "com.anthropic.claudecode"
"""The preference domain that the client reads on macOS."""

REGISTRY = r"SOFTWARE\Policies\ClaudeCode"
"""The registry key that the client reads on Windows: the value `Settings`, JSON on one line."""


def mobileconfig(settings: Mapping[str, Any], fleet: str, group: str) -> bytes:
    """Return a configuration profile. The same policy gives the same bytes; a new one replaces it.

    Raises ``TypeError`` for null, which a property list cannot hold.
    """
    name = f"mirrorfleet.{fleet}.{group}"

    def payload(kind: str, identifier: str, **content: Any) -> dict[str, Any]:
        return {
            "PayloadType": kind,
            "PayloadVersion": 1,
            "PayloadIdentifier": identifier,
            "PayloadUUID": str(uuid5(NAMESPACE_URL, identifier)).upper(),
            "PayloadDisplayName": f"Claude Code: {fleet}, {group}",
            **content,
        }

    policy = payload(DOMAIN, f"{name}.policy", **settings)
    profile = payload("Configuration", name, PayloadScope="System", PayloadContent=[policy])
    return plistlib.dumps(profile)


def on_windows(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the policy with an `apiKeyHelper` for the Windows shell."""
    return {**settings, "apiKeyHelper": rf'type "%USERPROFILE%\.claude\{KEY_FILE}"'}


def registry(settings: Mapping[str, Any]) -> bytes:
    """Return a registry file, in UTF-16 with a byte order mark."""
    text = json.dumps(settings, ensure_ascii=False, allow_nan=False)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        "Windows Registry Editor Version 5.00",
        "",
        rf"[HKEY_LOCAL_MACHINE\{REGISTRY}]",
        f'"Settings"="{escaped}"',
        "",
    ]
    return "\r\n".join([*lines, ""]).encode("utf-16-le").join([b"\xff\xfe", b""])


# Windows PowerShell 5 and later. No test runs it on Windows.
POLICY = r"""# Claude Code's policy of the group GROUP: run as administrator; -Remove takes it back.
param([switch]$Remove)
$ErrorActionPreference = 'Stop'
$place = Join-Path $env:ProgramFiles 'ClaudeCode\managed-settings.json'
if ($Remove) { Remove-Item -Force -ErrorAction SilentlyContinue $place; return }
New-Item -ItemType Directory -Force (Split-Path $place) | Out-Null
Copy-Item -Force (Join-Path $PSScriptRoot 'managed-settings.json') "$place.new"
Move-Item -Force "$place.new" $place
"""

KEY = r"""# A developer's own key of the group GROUP: keep this file secret; -Remove takes it back.
param([switch]$Remove)
$ErrorActionPreference = 'Stop'
$place = Join-Path $env:USERPROFILE '.claude\KEY_FILE'
if ($Remove) { Remove-Item -Force -ErrorAction SilentlyContinue $place; return }
New-Item -ItemType Directory -Force (Split-Path $place) | Out-Null
Set-Content -NoNewline -Encoding ascii $place ''
icacls $place /inheritance:r /grant:r "${env:USERNAME}:F" | Out-Null
Set-Content -NoNewline -Encoding ascii $place 'THE_KEY'
"""


def powershell(group: str, key: str | None = None) -> bytes:
    """Return the script that installs the policy, or one developer's ``key``."""
    text = POLICY if key is None else KEY
    values = {"GROUP": group, "KEY_FILE": KEY_FILE, "THE_KEY": (key or "").replace("'", "''")}
    for name, content in values.items():
        text = text.replace(name, content)
    return text.replace("\n", "\r\n").encode()
