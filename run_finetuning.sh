#!/usr/bin/env bash
# Every model on every experiment: ./run_finetuning.sh -m "encoder simclr" -e "bidmc_hr bidmc_rr" [key=value ...]
# From the environment: NPROC_PER_NODE (1), CUDA_VISIBLE_DEVICES, PYTHON (python3), SUMMARY (table of all results).
# Jobs run side by side on GPUs and one after the other on a CPU; the exit code is 1 if any of them failed. Paths are
# those of the folder it is started in.
set -u
root="$(cd "$(dirname "$0")" && pwd)" || exit 2
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
models="encoder"; experiments="synth_hr"
while getopts "m:e:h" option; do
  case "$option" in
    m) models="$OPTARG" ;;
    e) experiments="$OPTARG" ;;
    h) sed -n '2,5p' "$0"; exit 0 ;;
    *) sed -n '2,5p' "$0" >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
python="${PYTHON:-python3}"; processes="${NPROC_PER_NODE:-1}"; port=29510; failed=0; jobs=()
summary="${SUMMARY:-runs/cmssl/finetune_summary.csv}"
gpus="$("$python" -c 'import torch; print(torch.cuda.device_count())')" || exit 2

wait_for() {  # a job by its process and its name
  if wait "$1"; then echo "done: $2"; else echo "FAILED: $2" >&2; failed=1; fi
}

for model in $models; do
  for experiment in $experiments; do
    "$python" -m torch.distributed.run --nproc_per_node="$processes" --rdzv_backend=c10d \
      --rdzv_endpoint="localhost:$port" "$root/src/modules/encoder_finetuning.py" \
      "model=$model" "experiment=$experiment" "results.summary_file_path=$summary" "$@" &
    if [ "$gpus" -gt 0 ]; then jobs+=("$!|$model on $experiment"); else wait_for "$!" "$model on $experiment"; fi
    port=$((port + 1))
  done
done
for job in ${jobs[@]+"${jobs[@]}"}; do wait_for "${job%%|*}" "${job#*|}"; done
echo "Results: $summary"
exit "$failed"
