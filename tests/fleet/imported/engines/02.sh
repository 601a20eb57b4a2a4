    TP_SIZE=1
    TP_SIZE=2
python3 -m vllm.entrypoints.openai.api_server \
    --model Qwen/Qwen2.5-32B-Instruct-AWQ \
    --tensor-parallel-size $TP_SIZE \
    --max-num-seqs 16 \
    --max-model-len 16384 \
    --gpu-memory-utilization 0.85 \
    --port 8000 \
    --host 0.0.0.0 \
    --served-model-name "qwen2.5:32b" \
    --trust-remote-code \
    --no-enable-log-requests \
    --quantization awq \
    --enable-auto-tool-choice \
    --tool-call-parser hermes \
    2>&1 | tee logs/vllm.log
