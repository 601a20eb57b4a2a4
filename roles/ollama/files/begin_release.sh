# Begin a release of Ollama in an empty directory beside its final one.
: "${directory?}"
rm -rf "$directory.new"
mkdir -p "$directory.new"
