#!/usr/bin/env bash
# Trains variants of a MemMamba by a short recipe, several side by side on each GPU, asks each for pass keys, and prints
# one table. What is done is not done again: interrupt it, add variants, and start it again with the same --out.
#
#   dev/gpu/ablations.sh --train books/train --test books/test --out runs/ablations
#
#   --train PATH, --test PATH   text to learn, and text to hide keys in
#   --out DIR                   one folder for each variant and seed, table.md and table.json
#   --variants "A B …"          some of those below (default: all); --list names them
#   --seeds "1 2 …"             (default: 1)
#   --steps N                   of each run (default: 600)
#   --gpus N, --jobs N          GPUs, and runs side by side on each (default: 1 and 4); --gpus 0 is the CPU
#   --lengths L, --trials N     of the questions (default: 1k,8k,64k and 8 for each of five depths)
#   --set key=value             for every variant; may be given several times
#
# MAMBA4J is the command to run (default: ./mamba4j).
set -u -o pipefail
cd "$(dirname "$0")/../.."

# name | what is different; of the recipes memmamba-passkey, or mamba-passkey where model.type is mamba
variants='
base|
no-price|notes.price=0
no-dense|notes.dense_until=0
hard-from-the-start|notes.dense_until=0 notes.dense=1 notes.price=0
no-exploration|notes.exploration=0
more-exploration|notes.exploration=0.5
chunk-16|model.memory_chunk_size=16
chunk-256|model.memory_chunk_size=256
pool-12|model.memory_pool_size=12
pool-200|model.memory_pool_size=200
period-2|model.memory_cross_layer_period=2
period-8|model.memory_cross_layer_period=8
summary-16|model.memory_summary_size=16
summary-128|model.memory_summary_size=128
first-layer-1|model.memory_first_layer=1
fifo|model.memory_replacement=fifo
random-notes|model.memory_importance=random
fusion-gate|model.memory_fusion=gate
fusion-plain|model.memory_fusion=plain
fusion-product|model.memory_fusion=product
fusion-conv|model.memory_fusion=conv
fusion-scalar|model.memory_fusion=scalar
answers-0.2|mixture.answer_weight=0.2
answers-5|mixture.answer_weight=5
no-cross-token|model.memory_cross_token=false
no-cross-layer|model.memory_cross_layer=false
growing-pool|model.memory_pool_growth=16 model.memory_pool_limit=200
below-by-need|model.memory_cross_layer_trigger=need
mamba|model.type=mamba
'

fail() { printf 'ablations: %s\n' "$1" >&2; exit 2; }
names() { printf '%s' "$variants" | sed -n 's/|.*//p'; }

train=; test=; out=; chosen=$(names); seeds=1; steps=600; gpus=1; jobs=4; lengths=1k,8k,64k; trials=8; common=()
while [ $# -gt 0 ]; do
    case $1 in
        --list) printf '%s' "$variants" | grep . | column -t -s '|'; exit ;;
        --train | --test | --out | --variants | --seeds | --steps | --gpus | --jobs | --lengths | --trials | --set)
            [ $# -gt 1 ] || fail "$1 needs a value" ;;
        *) fail "unknown option $1: the head of this file lists them" ;;
    esac
    case $1 in
        --train) train=$2 ;;
        --test) test=$2 ;;
        --out) out=$2 ;;
        --variants) chosen=$2 ;;
        --seeds) seeds=$2 ;;
        --steps) steps=$2 ;;
        --gpus) gpus=$2 ;;
        --jobs) jobs=$2 ;;
        --lengths) lengths=$2 ;;
        --trials) trials=$2 ;;
        --set) common+=(--set "$2") ;;
    esac
    shift 2
done
[ -n "$train" ] && [ -n "$test" ] && [ -n "$out" ] || fail "--train, --test and --out are needed"
for name in $chosen; do names | grep -qx -- "$name" || fail "no variant $name: --list names them"; done
asked=$lengths-$trials
command=${MAMBA4J:-./mamba4j}
mkdir -p "$out" || exit 1
device=(--device cuda --precision bfloat16)
[ "$gpus" != 0 ] || device=()

# One variant with one seed, on the GPU that CUDA_VISIBLE_DEVICES names; its output goes to its log.
run() {
    local name=$1 seed=$2 run=$out/$1-$2 recipe=recipes/memmamba-passkey.yaml set=() option last resume=()
    for option in $(printf '%s' "$variants" | sed -n "s/^$name|//p"); do
        if [ "$option" = model.type=mamba ]; then
            recipe=recipes/mamba-passkey.yaml # which has a layer more, for as many parameters
        else
            set+=(--set "$option")
        fi
    done
    if ! [ -e "$run/trained" ]; then
        compgen -G "$run/checkpoints/step-*" >/dev/null && resume=(--resume)
        $command train "$recipe" --set out="$run" --set seed="$seed" --set data.path="$train" \
            --set schedule.steps="$steps" --set evaluation.every=1000000 --set checkpoints.every=200 \
            --set evaluation.windows=32 --set metrics.plot=false --set metrics.tensorboard=false \
            "${common[@]}" "${set[@]}" "${device[@]}" "${resume[@]}" || return
        touch "$run/trained"
    fi
    last=$(printf '%s\n' "$run"/checkpoints/step-* | tail -n 1)
    for task in passkey multi-key; do
        [ -e "$run/$task-$asked.json" ] || $command eval $task --model "$last" --data "$test" --lengths "$lengths" \
            --trials "$trials" --json "$run/$task-$asked.json" "${device[@]}" || return
    done
    touch "$run/done-$asked"
}

# What is left to do, dealt to as many workers as there are places.
todo=()
for seed in $seeds; do
    for name in $chosen; do [ -e "$out/$name-$seed/done-$asked" ] || todo+=("$name $seed"); done
done
places=$(((gpus > 0 ? gpus : 1) * jobs))
printf '%d runs to do, %d at a time\n' ${#todo[@]} $places >&2
for ((place = 0; place < places; place++)); do
    (
        [ "$gpus" = 0 ] || export CUDA_VISIBLE_DEVICES=$((place % gpus))
        for ((i = place; i < ${#todo[@]}; i += places)); do
            read -r name seed <<<"${todo[i]}"
            mkdir -p "$out/logs"
            begun=$(date +%s)
            if run "$name" "$seed" >"$out/logs/$name-$seed.log" 2>&1; then
                printf '%s, seed %s: done in %d s\n' "$name" "$seed" $(($(date +%s) - begun)) >&2
            else
                printf '%s, seed %s: failed, see %s\n' "$name" "$seed" "$out/logs/$name-$seed.log" >&2
            fi
        done
    ) &
done
wait
exec python3 dev/gpu/ablations.py "$out" "$asked" $(names)
