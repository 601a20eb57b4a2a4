export PYTHONWARNINGS="ignore::UserWarning:vllm.model_executor.layers.fla"  # suppress false-positive shape warning on short prompts
export CUDA_VISIBLE_DEVICES=0
export PATH="$HOME/miniconda3/envs/llm/bin:/usr/local/cuda/bin:$PATH"
MODEL="RedHatAI/Qwen3.5-122B-A10B-NVFP4"
exec "$HOME/miniconda3/envs/llm/bin/python" -m vllm.entrypoints.openai.api_server \
    --model "$MODEL" \
    --host 0.0.0.0 \
    --port 8000 \
    --served-model-name "qwen3.5-122b" \
    --max-model-len 1048576 \
    --gpu-memory-utilization 0.90 \
    --moe-backend cutlass \
    --attention-backend flashinfer \
    --enforce-eager \
    --reasoning-parser qwen3 \
    --default-chat-template-kwargs '{"enable_thinking": true}' \
    --api-key "sk-spark-llm" \
    --limit-mm-per-prompt '{"image": 5, "video": 1}' \
    --enable-auto-tool-choice \
    --tool-call-parser qwen3_xml \
    --trust-remote-code
