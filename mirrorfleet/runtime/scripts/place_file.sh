# Move the file $1 of the stage to the path $3 with the mode $2, atomically. No program reads the
# temporary name.
: "${stage?by open_stage.sh}"
place() {
    install -D -m "$2" -o root -g root "$stage/$1" "$3.mirrorfleet"
    mv -fT "$3.mirrorfleet" "$3"
}
