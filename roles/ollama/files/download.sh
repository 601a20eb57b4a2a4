# Download an archive to `upload` in an empty directory, and check its digest. The next script runs
# there.
: "${state?}" "${url?}" "${digest?}"
find "$state" -maxdepth 1 -name 'work.*' -mmin +60 -exec rm -rf {} +
work=$(mktemp -d "$state/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit
curl -fsSL --retry 3 --speed-limit 1000 --speed-time 60 -o upload "$url"
echo "$digest  upload" | sha256sum --check --quiet
