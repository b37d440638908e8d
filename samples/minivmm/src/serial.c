/* Serial port: bytes from the guest become lines in a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "minivmm.h"

struct serial_device {
	pthread_mutex_t lock;
	int fd;
	bool write_failed;
	size_t used;
	char line[256];
	counter lines;
};

/* A full disk must not stop the guest: the failure is reported once, output is dropped. */
static void serial_write_out(struct serial_device *serial)
{
	const char *next = serial->line;

	while (serial->used > 0) {
		ssize_t done = write(serial->fd, next, serial->used);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			if (!serial->write_failed)
				complain("cannot write serial output: %s", strerror(errno));
			serial->write_failed = true;
			break;
		}
		next += done;
		serial->used -= (size_t)done;
	}
	serial->used = 0;
}

static void serial_put(struct serial_device *serial, char byte)
{
	pthread_mutex_lock(&serial->lock);
	serial->line[serial->used++] = byte;
	if (byte == '\n')
		counter_inc(&serial->lines);
	if (byte == '\n' || serial->used == sizeof(serial->line))
		serial_write_out(serial);
	pthread_mutex_unlock(&serial->lock);
}

static uint32_t serial_port_read(void *opaque, uint16_t offset, unsigned size)
{
	(void)opaque;
	(void)size;
	return offset == SERIAL_LSR ? SERIAL_LSR_READY : 0;
}

static void serial_port_write(void *opaque, uint16_t offset, unsigned size, uint32_t value)
{
	(void)size;
	if (offset == 0)
		serial_put(opaque, (char)value);
}

static const struct port_ops serial_ops = {
	.read = serial_port_read,
	.write = serial_port_write,
};

struct serial_device *serial_create(struct vm *vm, const char *path)
{
	struct serial_device *serial = calloc(1, sizeof(*serial));

	if (!serial)
		return NULL;
	pthread_mutex_init(&serial->lock, NULL);
	serial->fd = STDOUT_FILENO;
	if (path)
		serial->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (serial->fd < 0) {
		complain("cannot open \"%s\": %s", path, strerror(errno));
		free(serial);
		return NULL;
	}
	bus_add(&vm->bus, &(struct port_range){ PORT_SERIAL, 8, &serial_ops, serial });
	return serial;
}

void serial_destroy(struct serial_device *serial)
{
	serial_write_out(serial);
	if (serial->fd != STDOUT_FILENO)
		close(serial->fd);
	pthread_mutex_destroy(&serial->lock);
	free(serial);
}

uint64_t serial_lines(struct serial_device *serial)
{
	return counter_get(&serial->lines);
}
