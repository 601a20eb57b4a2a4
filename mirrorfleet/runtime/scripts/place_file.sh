# Put the file $1 of the stage in the place $3 with the mode $2. A reader finds the old file or the
# new one, whole; the name in between is one that no program reads.
: "${stage?by open_stage.sh}"
place() {
    install -D -m "$2" -o root -g root "$stage/$1" "$3.mirrorfleet"
    mv -fT "$3.mirrorfleet" "$3"
}
