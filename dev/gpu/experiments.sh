#!/usr/bin/env bash
# Runs experiments on GPUs, in queues, within a given time; what is not finished goes on at the next call with the same --out.
#
#   dev/gpu/experiments.sh --data DIR --out DIR --minutes M --gpu 0 JOB... [--gpu 1 JOB...] [--gpu 1 JOB...]
#
# A JOB is what follows `mamba4j experiment`, in quotes: 'induction-heads --model Mamba --seeds 3'. Each --gpu begins a
# queue, whose jobs run one after the other, one JVM at a time: a tiny model wants a GPU alone, since processes that share
# one take time slices (five at once: 11 ms a step instead of 0.5). Queues of the same GPU run beside each other, which
# pays where the JVM, not the GPU, is what is waited for.
#
# Environment: MAMBA4J, the command (default ./mamba4j); DEVICE and SCALE (default cuda, full; cpu, smoke for a dry run).
# Leaves in --out: a folder for each experiment, logs/, results.tgz with all of it (weights only as far as they fit).
# A report with pictures: mamba4j experiment NAME … --report-only --out DIR/NAME, on any machine.
set -uo pipefail

fail() { echo "experiments.sh: $1 (see the head of this script)" >&2; exit 2; }
data='' out='' minutes='' queues=()
while [ $# -gt 0 ]; do
  case $1 in
    --data) data=${2:-}; shift 2 ;;
    --out) out=${2:-}; shift 2 ;;
    --minutes) minutes=${2:-}; shift 2 ;;
    --gpu) [[ ${2:-} =~ ^[0-9]+$ ]] || fail "--gpu ${2:-} is no number"; queues+=("$2"); shift 2 ;;
    *) [ ${#queues[@]} -gt 0 ] || fail "$1 stands before any --gpu"; queues[-1]+=$'\n'"$1"; shift ;;
  esac
done
[ -n "$data" ] && [ -n "$out" ] && [ ${#queues[@]} -gt 0 ] || fail "--data, --out and a --gpu with jobs are needed"
[[ $minutes =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "--minutes $minutes is no number"
read -ra mamba4j <<<"${MAMBA4J:-./mamba4j}"
start=$(date +%s)
seconds=$(awk -v m="$minutes" 'BEGIN { print int(60 * m) }')
packing=12 # seconds kept for saving and packing
most_bytes=15000000
mkdir -p "$out/logs"
left() { echo $((seconds - packing - $(date +%s) + start)); }

# One after the other: queue NUMBER, GPU, jobs.
queue() {
  local number=$1 gpu=$2 index=0 job words name log rest begun code
  shift 2
  for job in "$@"; do
    index=$((index + 1))
    # Names of models have blanks in them: what stands in '' is one word.
    eval "words=($job)"
    name=${words[0]}
    rest=$(left)
    [ "$rest" -ge 20 ] || { echo "gpu $gpu, queue $number: no time for $job"; continue; }
    log=$out/logs/$number-$index-$name.log
    begun=$(date +%s)
    CUDA_VISIBLE_DEVICES=$gpu timeout -k 5 $((rest + packing / 2)) "${mamba4j[@]}" experiment "${words[@]}" \
      --scale "${SCALE:-full}" --device "${DEVICE:-cuda}" --data "$data" --out "$out/$name" \
      --stop-after "$(awk -v s="$rest" 'BEGIN { printf "%.2f", s / 60 }')" >>"$log" 2>&1
    code=$?
    echo "gpu $gpu, queue $number: $job: exit code $code, $(($(date +%s) - begun)) s"
    [ $code -eq 0 ] || tail -3 "$log" | cut -c1-300
  done
}

number=0
for one in "${queues[@]}"; do
  number=$((number + 1))
  mapfile -t jobs <<<"$one"
  queue $number "${jobs[@]}" &
done
wait

pack() {
  local packed
  packed=$(mktemp) && tar -C "$out" --exclude=results.tgz --exclude=data "$@" -czf "$packed" . && mv "$packed" "$out/results.tgz"
}
pack
if [ "$(stat -c %s "$out/results.tgz")" -gt $most_bytes ]; then
  echo "weights of unfinished trainings are left out of results.tgz: they lie in $out"
  pack --exclude='*.unfinished'
fi
[ "$(stat -c %s "$out/results.tgz")" -le $most_bytes ] || pack --exclude='*.unfinished' --exclude=sounds
echo
echo "done, with the first figure of each part:"
grep -h -E '^\[[0-9]+/[0-9]+\] .*, ([0-9.]+ s|[0-9:]+ (min|h))$' "$out"/logs/*.log | sed 's/^\[[^]]*\] /  /' | sort
echo "not done:"
grep -h -E '^\[[0-9]+/[0-9]+\] .*: (time is up|failed)' "$out"/logs/*.log | sed 's/^\[[^]]*\] /  /' | sort -u
grep -h -E ' parts are left' "$out"/logs/*.log | sort | uniq -c | sed 's/^/  /'
echo "$(($(date +%s) - start)) s of $seconds; $(stat -c %s "$out/results.tgz") bytes in $out/results.tgz"
