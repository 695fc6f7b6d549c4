
task="${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
# What the program's last run said: `pellucid night status` reads it.
ended="$folder/ended-$task"
rm -f -- "$ended"

# Without $(...): bash trips over a trapped signal that comes while it reads one.
say() { TZ=UTC0 printf '%(%FT%TZ)T task %s on %s: %s\n' -1 "$task" "$HOSTNAME" "$*"; }

# Slurm sends TERM to this script a minute before the time limit. The program then abandons its
# targets cleanly.
told=
signalled=
child=
stop() {
    told=1
    signalled=1
    if [ -n "$child" ]; then
        kill -TERM "$child" 2>/dev/null
    fi
}
trap stop TERM

tries=0
while :; do
    say "${command[*]} --shard $SLURM_ARRAY_TASK_ID/$workers"
    "${command[@]}" --shard "$SLURM_ARRAY_TASK_ID/$workers" &
    child=$!
    if [ -n "$told" ]; then
        kill -TERM "$child" 2>/dev/null
    fi
    # A trapped signal ends `wait` before the program: wait again.
    while :; do
        signalled=
        wait "$child"
        code=$?
        if [ -z "$signalled" ]; then
            break
        fi
    done
    child=
    # Killed, by the kernel for its memory or by anyone: begin again, what is done stays done.
    if [ "$code" -gt 128 ] && [ -z "$told" ] && [ "$tries" -lt "$restarts" ]; then
        tries=$((tries + 1))
        say "the program was killed by signal $((code - 128)); run $((tries + 1)) of $((restarts + 1))"
        continue
    fi
    break
done
# What is left takes no time, and must not be cut short.
trap '' TERM
say "the program ended with exit code $code"
echo "$code" >"$ended.part" && mv -f -- "$ended.part" "$ended"

# Some targets failed, and that is known to the night: for Slurm the task is done, however a
# cluster treats exit codes (RequeueExit).
if [ "$code" -eq 0 ] || [ "$code" -eq 3 ]; then
    exit 0
fi
# Told to stop while Slurm still has it running: the time limit. Cancelled or requeued, it would be
# completing.
if [ -n "$told" ] && [ "${SLURM_RESTART_COUNT:-0}" -lt "$restarts" ]; then
    state=$(squeue --noheader --format=%T --jobs="$SLURM_JOB_ID")
    if [ "$state" = RUNNING ]; then
        say "the time limit is near: to be queued again for the rest"
        scontrol requeue "$SLURM_JOB_ID"
    fi
fi
exit "$code"
