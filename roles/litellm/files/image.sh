# Which of these container images Docker has.
image() {
    for name; do
        ! docker image inspect "$name" >/dev/null 2>&1 </dev/null || say image "$name"
    done
}
