#!/bin/sh
# In a separate mount namespace: the prepared root becomes /, with this folder and the checkout at the same paths.
set -eu
root=$1 folder=$2 checkout=$3
mount --make-rprivate /
mount --bind "$root" "$root"
for kernel in proc sys dev; do mount --rbind "/$kernel" "$root/$kernel"; done
for path in "$folder" "$checkout"; do
    mkdir -p "$root$path"
    mount --bind "$path" "$root$path"
done
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/oldroot"
cd "$root"
pivot_root . oldroot
cd /
umount -l /oldroot
exec dockerd --host "unix://$folder/docker.sock" --data-root "$folder/data" --exec-root "$folder/exec" \
    --pidfile "$folder/docker.pid" --storage-driver overlay2
