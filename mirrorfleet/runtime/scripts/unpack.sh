# Unpack the archive of payload.py on standard input into the working directory.
unpack() { base64 -d | gzip -dc | tar -xpf - --same-owner; }
