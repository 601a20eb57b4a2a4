# Download an archive to `upload` in an empty directory, and check its digest. The next script runs
# there.
: "${state?}" "${url?}" "${digest?}"
work=$state/work
mkdir -m 700 "$work"
trap 'rm -rf "$work"' EXIT
cd "$work" || exit
curl -fsSL --retry 3 --speed-limit 1000 --speed-time 60 -o upload "$url"
echo "$digest  upload" | sha256sum --check --quiet
