/*
 * The Linux guest's only program. Five times a second it does a piece of work and prints one line:
 *
 *   C <number> disk=<ok|bad|none> hsave=<taken|refused|none>
 *
 * disk   one block was written to the virtio disk and read back the same
 * hsave  a misaligned address written to the MSR VM_HSAVE_PA was taken, or refused with #GP
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MSR_VM_HSAVE_PA 0xc0010117
#define PERIOD_NS 200000000L
#define BLOCK 4096
#define DISK_BLOCKS 1024

static void load_module(const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/modules/%s.ko", name);
    int fd = open(path, O_RDONLY);
    if (fd >= 0) {
        if (syscall(SYS_finit_module, fd, "", 0) < 0)
            perror(name);
        close(fd);
    }
}

static const char *check_disk(int fd, uint32_t *buffer, unsigned number)
{
    off_t place = (off_t)(number % DISK_BLOCKS) * BLOCK;
    if (fd < 0)
        return "none";
    for (unsigned i = 0; i < BLOCK / 4; i++)
        buffer[i] = number * 2654435761u + i;
    if (pwrite(fd, buffer, BLOCK, place) != BLOCK)
        return "bad";
    memset(buffer, 0, BLOCK);
    if (pread(fd, buffer, BLOCK, place) != BLOCK)
        return "bad";
    for (unsigned i = 0; i < BLOCK / 4; i++)
        if (buffer[i] != number * 2654435761u + i)
            return "bad";
    return "ok";
}

static const char *check_hsave(int fd)
{
    uint64_t misaligned = 0x1234;
    if (fd < 0)
        return "none";
    return pwrite(fd, &misaligned, sizeof(misaligned), MSR_VM_HSAVE_PA) < 0 ? "refused" : "taken";
}

int main(void)
{
    static const char *const modules[] = {"virtio_ring", "virtio", "virtio_pci_legacy_dev",
        "virtio_pci_modern_dev", "virtio_pci", "virtio_blk", "msr"};

    mount("proc", "/proc", "proc", 0, "");
    mount("sysfs", "/sys", "sysfs", 0, "");
    mount("devtmpfs", "/dev", "devtmpfs", 0, "");
    int console = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
    if (console >= 0) {
        dup2(console, 0);
        dup2(console, 1);
        dup2(console, 2);
    }
    setvbuf(stdout, NULL, _IOLBF, 256);
    for (unsigned i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
        load_module(modules[i]);

    int disk = open("/dev/vda", O_RDWR | O_DIRECT);
    int msr = open("/dev/cpu/0/msr", O_RDWR);
    uint32_t *buffer = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (unsigned number = 0;; number++) {
        printf("C %u disk=%s hsave=%s\n", number, check_disk(disk, buffer, number), check_hsave(msr));
        next.tv_nsec += PERIOD_NS;
        if (next.tv_nsec >= 1000000000L) {
            next.tv_nsec -= 1000000000L;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}
