"""Commands in units, as a real systemd parses them."""

import json
import random
import shlex

from mirrorfleet.runtime.text import exec_start
from tests.lab import look

NASTY = [
    "",
    "-",
    ";",
    "$HOME",
    "${HOME}",
    "$$",
    "100 %zz",
    "%h",
    "\\",
    "a\\x41 \\n",
    'it\'s "so"',
    "#none",
    "--option=a --b",
    '--hf-overrides={"note": "a --b $HOME \\\\n 5 % \\" \'"}',
    "grün 🙂",
]
ALPHABET = "ab-%${}'\"\\;# @=:!,n\u00e9\U0001f642"


def test_a_process_receives_the_arguments_unchanged() -> None:
    chance = random.Random(14)
    words = NASTY + ["".join(chance.choices(ALPHABET, k=chance.randrange(12))) for _ in range(300)]
    program = "import json, sys; print(json.dumps(sys.argv[1:]))"
    command = exec_start(["/usr/bin/python3", "-I", "-c", program, *words])
    unit = (
        "[Service]\nType=oneshot\nEnvironment=HOME=/root a=b\n"
        f"StandardOutput=truncate:/run/words.json\nExecStart={command}\n"
    )
    script = (
        f"printf %s {shlex.quote(unit)} >/run/systemd/system/words.service\n"
        "systemctl daemon-reload && systemctl start words && cat /run/words.json\n"
        "rm /run/systemd/system/words.service /run/words.json && systemctl daemon-reload"
    )
    assert json.loads(look.run("gpu", "sh -s", stdin=script)) == words
