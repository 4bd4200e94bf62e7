#!/usr/bin/env bash
# Runs a command within a Slurm of one node that is this machine, which starts for it and ends with it.
#   one_node_slurm.sh FOLDER COMMAND ...
set -euo pipefail

folder=$(realpath "$1")
shift
export PATH=$PATH:/usr/sbin
mkdir -p "$folder"/{munge,state,spool}
chmod -R go-rwx "$folder/munge"
head -c 1024 /dev/urandom >"$folder/munge/key"
chmod 400 "$folder/munge/key"
user=$(id -un)
# A socket's path is short.
socket=$(mktemp -u /tmp/sfa-munge-XXXXXX)
port=$((20000 + $$ % 20000))
cat >"$folder/slurm.conf" <<END
ClusterName=sfa
SlurmctldHost=$(hostname -s)(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$socket
CredType=cred/munge
SlurmUser=$user
SlurmdUser=$user
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$folder/slurm.conf

pids=()
stop() {
  for pid in "${pids[@]}"; do
    kill "$pid" 2>/dev/null || true
  done
  wait
  rm -f "$socket" "$socket.lock"
}
trap stop EXIT

munged --foreground --force --socket="$socket" --key-file="$folder/munge/key" --pid-file="$folder/munge/pid" \
  --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" >"$folder/munge/out" 2>&1 &
pids+=($!)
for _ in $(seq 50); do
  [ -S "$socket" ] && break
  sleep 0.1
done
slurmctld -D >"$folder/slurmctld.out" 2>&1 &
pids+=($!)
slurmd -D -N "$(hostname -s)" >"$folder/slurmd.out" 2>&1 &
pids+=($!)
for _ in $(seq 100); do
  [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ] && break
  sleep 0.2
done
if [ "$(sinfo --noheader --format=%t 2>/dev/null)" != idle ]; then
  tail -n 5 "$folder"/*.out "$folder"/*.log >&2
  exit 1
fi
"$@"
