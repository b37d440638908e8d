/* Report port: the guest's own verdicts, counted for the status line. */
#include <stdlib.h>

#include "minivmm.h"

struct report_device {
	counter counts[REPORT_KINDS];
};

static uint32_t report_port_read(void *opaque, uint16_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return UINT32_MAX;
}

static void report_port_write(void *opaque, uint16_t offset, unsigned size, uint32_t value)
{
	struct report_device *report = opaque;

	(void)offset;
	(void)size;
	if (value < REPORT_KINDS)
		counter_inc(&report->counts[value]);
}

static const struct port_ops report_ops = {
	.read = report_port_read,
	.write = report_port_write,
};

struct report_device *report_create(struct vm *vm)
{
	struct report_device *report = calloc(1, sizeof(*report));

	if (report)
		bus_add(&vm->bus, &(struct port_range){ PORT_REPORT, 1, &report_ops, report });
	return report;
}

void report_destroy(struct report_device *report)
{
	free(report);
}

uint64_t report_count(struct report_device *report, unsigned kind)
{
	return counter_get(&report->counts[kind]);
}
