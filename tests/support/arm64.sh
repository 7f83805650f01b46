#!/bin/sh
# Builds and tests for arm64 on a machine of another kind. As root, in a folder of a few GB:
#
#   arm64.sh FOLDER tree         a Debian with compilers and MPIs, whose programs qemu-user runs
#   arm64.sh FOLDER build        these sources in it: needs binfmt_misc to know qemu-aarch64
#   arm64.sh FOLDER image        a disk of it, and a kernel with pages of 16 KiB
#   arm64.sh FOLDER run COMMAND  boots it, runs a command of the shell in the sources, where BIN
#                                and the like are set, and ends with its status
#
# qemu-user has faults of its own (see docs/testing.md), so tests run in the machine that
# qemu-system plays. Packages: qemu-user-static debootstrap qemu-system-arm e2fsprogs cpio xz-utils.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
work=$1 what=$2
shift 2
tree=$work/tree
mirror=${MIRROR:-http://deb.debian.org/debian}
packages='gcc g++ libc6-dev cmake ninja-build pkg-config libjansson-dev libmicrohttpd-dev
    zlib1g-dev python3 libseccomp-dev libmpich-dev mpich libopenmpi-dev openmpi-bin gfortran check
    curl binutils iproute2 procps strace busybox-static'

# in_tree COMMAND: in mounts that go with it.
in_tree() {
    TREE=$tree unshare --mount sh -euc '
        mount -t proc proc "$TREE/proc"
        mount --rbind /dev "$TREE/dev"
        mount -t tmpfs tmpfs "$TREE/tmp"
        exec chroot "$TREE" /bin/sh -euc "$1"' sh "$1"
}

make_tree() {
    debootstrap --arch=arm64 --foreign --variant=minbase bookworm "$tree" "$mirror"
    chroot "$tree" /debootstrap/debootstrap --second-stage
    echo "deb $mirror bookworm-backports main" >"$tree/etc/apt/sources.list.d/kernel.list"
    cp /etc/resolv.conf "$tree/etc/"
    in_tree "export DEBIAN_FRONTEND=noninteractive
        apt-get -q update
        apt-get -q install -y --no-install-recommends $(echo $packages)
        apt-get clean"
}

build() {
    rm -rf "$tree/src"
    mkdir "$tree/src"
    (cd "$here" && git ls-files -z | tar -c --null -T -) | tar -x -C "$tree/src"
    in_tree "cmake -S /src --preset dev -B /build && ninja -C /build -j ${JOBS:-1}"
}

# The kernel is only unpacked: its installation would want a boot loader.
make_image() {
    rm -rf "$work/kernel"
    mkdir "$work/kernel"
    name=$(in_tree "apt-cache search '^linux-image-.*-arm64-16k\$'" | sort -V | tail -n 1)
    in_tree "cd /var/tmp && apt-get -q download ${name%% *}"
    dpkg-deb -x "$tree"/var/tmp/linux-image-*.deb "$work/kernel"
    rm "$tree"/var/tmp/linux-image-*.deb
    rm -f "$work/disk"
    truncate -s 6G "$work/disk"
    mke2fs -q -t ext4 -d "$tree" "$work/disk"
}

# make_start COMMAND: what the kernel starts: modules for the disk, then the command on it.
make_start() {
    start=$work/start
    rm -rf "$start"
    mkdir -p "$start/bin" "$start/root" "$start/proc" "$start/dev" "$start/modules"
    cp "$tree/bin/busybox" "$start/bin/"
    modules='crc32c_generic libcrc32c crc16 mbcache jbd2 ext4 virtio_blk'
    for module in $modules; do
        find "$work/kernel" -name "$module.ko.xz" -exec xz -dc '{}' \; \
            >"$start/modules/$module.ko"
    done
    cat >"$start/init" <<TXT
#!/bin/busybox sh
b=/bin/busybox
\$b mount -t devtmpfs dev /dev
for module in $modules; do \$b insmod /modules/\$module.ko; done
\$b mount -t ext4 /dev/vda /root
\$b cp /command /stage /root/
exec \$b switch_root /root /bin/sh /stage
TXT
    cat >"$start/stage" <<'TXT'
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CK_TIMEOUT_MULTIPLIER=10
export BIN=/build/bin LIB=/build/lib SEGMENTS=/build/tests/tool/segments CC=cc CXX=c++
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t devpts pts /dev/pts
for folder in /dev/shm /tmp /run; do mount -t tmpfs -o mode=1777 tmpfs $folder; done
ip link set lo up
cd /src
sh /command </dev/null
echo "arm64.sh: exit status $?"
echo o >/proc/sysrq-trigger
sleep 60
TXT
    printf '%s\n' "$1" >"$start/command"
    chmod +x "$start/init"
    (cd "$start" && find . | cpio -o -H newc 2>/dev/null) | gzip -1 >"$work/initrd"
}

run() {
    make_start "$*"
    qemu-system-aarch64 -M virt -cpu neoverse-n1 -smp "${CPUS:-1}" -m 4G \
        -nographic -no-reboot -nic none -kernel "$work"/kernel/boot/vmlinuz-* \
        -initrd "$work/initrd" -append 'console=ttyAMA0 panic=-1 quiet' \
        -drive "file=$work/disk,if=none,id=disk,format=raw,snapshot=on" \
        -device virtio-blk-pci,drive=disk </dev/null | tr -d '\r' | tee "$work/log"
    status=$(sed -n 's/^arm64.sh: exit status //p' "$work/log")
    return "${status:-1}"
}

case $what in
tree) make_tree ;;
build) build ;;
image) make_image ;;
run) run "$@" ;;
*) echo "usage: $0 FOLDER tree|build|image|run [COMMAND]" >&2; exit 2 ;;
esac
