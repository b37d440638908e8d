/*
 * LD_PRELOAD library: lets QEMU's vhost-vdpa backend start without a vDPA device. Every vhost ioctl
 * (type 0xaf) on any file succeeds; the replies that the backend looks at say "a network device
 * with a usable IOVA range". Use a name of /dev/null as `vhostdev=`, so that its writes succeed too.
 */
#define _GNU_SOURCE
#include <linux/vhost.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_config.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void reply(unsigned long request, void *out)
{
    switch (request) {
    case VHOST_GET_FEATURES:
        *(__u64 *)out = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_ACCESS_PLATFORM;
        break;
    case VHOST_VDPA_GET_DEVICE_ID:
        *(__u32 *)out = VIRTIO_ID_NET;
        break;
    case VHOST_VDPA_GET_VRING_NUM:
        *(__u16 *)out = 256;
        break;
    case VHOST_VDPA_GET_IOVA_RANGE:
        ((struct vhost_vdpa_iova_range *)out)->first = 0;
        ((struct vhost_vdpa_iova_range *)out)->last = ~0ull >> 1;
        break;
    default:
        if (_IOC_DIR(request) == _IOC_READ)
            memset(out, 0, _IOC_SIZE(request));
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *out = va_arg(arguments, void *);
    va_end(arguments);

    if (_IOC_TYPE(request) == VHOST_VIRTIO) {
        reply(request, out);
        return 0;
    }
    return (int)syscall(SYS_ioctl, fd, request, out);
}
