/* Timer: microseconds since the machine started, never going back. */
#include <stdlib.h>

#include "minivmm.h"

struct timer_device {
	uint64_t started_us;
};

static uint32_t timer_port_read(void *opaque, uint16_t offset, unsigned size)
{
	const struct timer_device *timer = opaque;
	uint64_t ticks = monotonic_us() - timer->started_us;

	(void)size;
	switch (offset) {
	case TIMER_LOW:
		return (uint32_t)ticks;
	case TIMER_HIGH:
		return (uint32_t)(ticks >> 32);
	default:
		return UINT32_MAX;
	}
}

static void timer_port_write(void *opaque, uint16_t offset, unsigned size, uint32_t value)
{
	(void)opaque;
	(void)offset;
	(void)size;
	(void)value;
}

static const struct port_ops timer_ops = {
	.read = timer_port_read,
	.write = timer_port_write,
};

struct timer_device *timer_device_create(struct vm *vm)
{
	struct timer_device *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return NULL;
	timer->started_us = vm->started_us;
	bus_add(&vm->bus, &(struct port_range){ PORT_TIMER, 8, &timer_ops, timer });
	return timer;
}

void timer_device_destroy(struct timer_device *timer)
{
	free(timer);
}
