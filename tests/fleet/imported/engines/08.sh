    ollama serve &
OLLAMA_ENV_FILE="$HOME/.ollama/.env"
    ollama serve &
