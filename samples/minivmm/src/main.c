/* Command line, start and end of the machine. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivmm.h"

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

static const char usage_text[] =
	"Usage: minivmm [options]\n"
	"  minivmm --disk disk.img --control vm.sock --serial vm.log\n"
	"\n"
	"  --cpus N          number of vCPUs, 1 to 8 (default 2)\n"
	"  --accel NAME      kvm, soft or auto (default auto: kvm if /dev/kvm works)\n"
	"  --disk FILE       block device's file, created or extended to 64 KiB\n"
	"  --serial FILE     serial output (default standard output)\n"
	"  --control SOCKET  unix socket that answers \"status\" and \"quit\"\n"
	"  --pace-us N       sleep of a vCPU thread after each yield (default 200)\n"
	"  --help            this text\n";

void complain(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "minivmm: %s\n", text);
}

static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || value < min || value > max)
		return false;
	*out = (unsigned)value;
	return true;
}

static bool parse_accel(const char *name, const struct accel **out)
{
	if (strcmp(name, "auto") == 0)
		*out = NULL;
	else if (strcmp(name, accel_kvm.name) == 0)
		*out = &accel_kvm;
	else if (strcmp(name, accel_soft.name) == 0)
		*out = &accel_soft;
	else
		return false;
	return true;
}

/* Fills the configuration, or ends the program: --help and wrong usage go no further. */
static void parse_arguments(int argc, char **argv, struct vm_config *config)
{
	static const struct option options[] = {
		{ "cpus", required_argument, NULL, 'c' },
		{ "accel", required_argument, NULL, 'a' },
		{ "disk", required_argument, NULL, 'd' },
		{ "serial", required_argument, NULL, 's' },
		{ "control", required_argument, NULL, 'C' },
		{ "pace-us", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool good = true;
	int option;

	while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			good = parse_number(optarg, 1, MAX_CPUS, &config->cpus);
			break;
		case 'a':
			good = parse_accel(optarg, &config->accel);
			break;
		case 'd':
			config->disk_path = optarg;
			break;
		case 's':
			config->serial_path = optarg;
			break;
		case 'C':
			config->control_path = optarg;
			break;
		case 'p':
			good = parse_number(optarg, 0, 1000000, &config->pace_us);
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(STATUS_OK);
		default:
			good = false;
		}
		if (!good && option != '?')
			complain("wrong value \"%s\"", optarg);
	}
	if (!good || optind != argc) {
		fputs(usage_text, stderr);
		exit(STATUS_USAGE);
	}
}

int main(int argc, char **argv)
{
	struct vm_config config = { .cpus = 2, .pace_us = 200 };
	struct vm *vm;

	parse_arguments(argc, argv, &config);
	vm = vm_create(&config);
	if (!vm)
		return STATUS_FAILED;
	if (vm_start(vm) < 0 || control_run(vm) < 0)
		vm_request_stop(vm, STATUS_FAILED);
	return vm_finish(vm);
}
