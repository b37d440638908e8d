/* Port bus: which device owns a port. Devices are added before the vCPUs start. */
#include <assert.h>

#include "minivmm.h"

void bus_add(struct port_bus *bus, const struct port_range *range)
{
	assert(bus->used < MAX_PORT_RANGES);
	bus->ranges[bus->used++] = *range;
}

static const struct port_range *bus_find(const struct port_bus *bus, uint16_t port)
{
	for (unsigned i = 0; i < bus->used; i++) {
		const struct port_range *range = &bus->ranges[i];

		if (port >= range->base && port - range->base < range->length)
			return range;
	}
	return NULL;
}

/* As on a PC, an unassigned port reads as all ones and swallows writes. */
uint32_t bus_read(const struct port_bus *bus, uint16_t port, unsigned size)
{
	const struct port_range *range = bus_find(bus, port);

	if (!range)
		return UINT32_MAX;
	return range->ops->read(range->opaque, (uint16_t)(port - range->base), size);
}

void bus_write(const struct port_bus *bus, uint16_t port, unsigned size, uint32_t value)
{
	const struct port_range *range = bus_find(bus, port);

	if (range)
		range->ops->write(range->opaque, (uint16_t)(port - range->base), size, value);
}
