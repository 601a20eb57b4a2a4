#!/bin/bash
source .venv/bin/activate
if [ -f .env ]; then
    export $(cat .env | grep -v '^#' | xargs)
fi
HOST=${HOST:-0.0.0.0}
PORT=${VLLM_PORT:-8000}
MODEL=${VLLM_MODEL:-meta-llama/Llama-3.3-70B-Instruct}
QUANTIZATION=${VLLM_QUANTIZATION:-awq}
GPU_UTIL=${GPU_MEMORY_UTILIZATION:-0.95}
MAX_LEN=${MAX_MODEL_LEN:-4096}
python -m vllm.entrypoints.openai.api_server \
    --model "$MODEL" \
    --quantization "$QUANTIZATION" \
    --host "$HOST" \
    --port "$PORT" \
    --gpu-memory-utilization "$GPU_UTIL" \
    --max-model-len "$MAX_LEN" \
    --trust-remote-code \
    2>&1 | tee logs/vllm_$(date +%Y%m%d_%H%M%S).log
