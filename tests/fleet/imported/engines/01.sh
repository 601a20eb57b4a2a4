OUTPUT_BASE_DIR="swe_bench/"
SUBSET="verified"
SPLIT="test"
SLICE=""
PORT=8000
SIF="benchmarks/benchmark_container.sif"
START_SERVER=1
WANDB_API_KEY=""
TASK_ID=${SLURM_ARRAY_TASK_ID:-0}
SHARD_SIZE=500
  SLICE="${START}:${END}"
ENDPOINT="http://localhost:${PORT}/v1"
LORA_ADAPTER_NAME=""
    MODEL_NAME="$LORA_ADAPTER_NAME"
    LORA_ADAPTER_NAME="$MODEL_NAME"
    MODEL_NAME="$BASE_MODEL"
  MODEL_TAG="${BASE_TAG}__lora__${ADAPTER_TAG}"
RUN_TAG="${SCAFFOLD}-${MODEL_TAG}"
OUTPUT_DIR="${OUTPUT_BASE_DIR}/${RUN_TAG}/shard_${TASK_ID}"
wait_for_vllm() {
VLLM_PID=""
export MAX_CONTEXT_LEN=65536
export VLLM_ALLOW_LONG_MAX_MODEL_LEN=1
  CMD=(uv run vllm serve $BASE_MODEL \
    --port "$PORT" \
    --enable-auto-tool-choice \
    --tensor-parallel-size 8 \
    --max-model-len $MAX_CONTEXT_LEN \
    --hf-overrides '{"max_position_embeddings": '$MAX_CONTEXT_LEN'}' \
    --enable_prefix_caching \
    $CT \
    $RP $TP)
  (exec "${CMD[@]}") > "logs/vllm_${SLURM_JOB_ID:-$$}.log" 2>&1 &
  VLLM_PID=$!
  --model-name "hosted_vllm/$MODEL_NAME" \
  --output-dir "$OUTPUT_DIR" \
  --subset "$SUBSET" \
  --split "$SPLIT" \
  --slice "$SLICE" \
  --backend "apptainer"
