# Unpack the archive of payload.py on standard input into the working directory. gzip knows whether it is
# whole: if the controller dies meanwhile, it ends anywhere, and tar accepts an end between two files.
unpack() {
    (umask 077 && base64 -d | gzip -dc >.archive) && tar -xpf .archive --same-owner && rm .archive
}
