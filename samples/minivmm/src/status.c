/* The status line: one JSON document on one line. */
#include <dirent.h>
#include <elf.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "minivmm.h"

struct text {
	char *start;
	size_t used, size;
};

__attribute__((format(printf, 2, 3)))
static void append(struct text *text, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text->start + text->used, text->size - text->used, format, args);
	va_end(args);
	if (length > 0)
		text->used += (size_t)length;
	if (text->used >= text->size)
		text->used = text->size - 1;
}

/* Name and description of a note are padded to four bytes each: elf(5). */
static void append_build_id(struct text *text, const uint8_t *notes, size_t size)
{
	size_t at = 0;

	while (at + sizeof(ElfW(Nhdr)) <= size) {
		const ElfW(Nhdr) *note = (const void *)(notes + at);
		const uint8_t *name = notes + at + sizeof(*note);
		const uint8_t *id = name + (note->n_namesz + 3) / 4 * 4;

		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
		    memcmp(name, "GNU", 4) == 0) {
			for (unsigned i = 0; i < note->n_descsz; i++)
				append(text, "%02x", id[i]);
			return;
		}
		at = (size_t)(id - notes) + (note->n_descsz + 3) / 4 * 4;
	}
}

/* The program itself is the first object that is visited. */
static int visit_program(struct dl_phdr_info *info, size_t size, void *opaque)
{
	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_NOTE)
			append_build_id(opaque, (const uint8_t *)info->dlpi_addr + header->p_vaddr,
					header->p_memsz);
	}
	return 1;
}

static unsigned count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned entries = 0;

	if (!directory)
		return 0;
	while (readdir(directory))
		entries++;
	closedir(directory);
	return entries > 3 ? entries - 3 : 0;	/* ".", ".." and the directory itself */
}

static void append_cpus(struct text *text, struct vm *vm)
{
	append(text, "\"cpus\":[");
	for (unsigned i = 0; i < vm->config.cpus; i++)
		append(text, "%s{\"count\":%u,\"exits\":%llu,\"eintr\":%llu}", i ? "," : "",
		       vm_guest_count(vm, i),
		       (unsigned long long)counter_get(&vm->vcpus[i].exits),
		       (unsigned long long)counter_get(&vm->vcpus[i].eintr));
	append(text, "]");
}

static void append_number(struct text *text, const char *name, uint64_t value)
{
	append(text, ",\"%s\":%llu", name, (unsigned long long)value);
}

size_t status_json(struct vm *vm, char *out, size_t size)
{
	struct text text = { .start = out, .size = size };

	append(&text, "{\"version\":\"%s\",\"build_id\":\"", MINIVMM_VERSION);
	dl_iterate_phdr(visit_program, &text);
	append(&text, "\",\"accel\":\"%s\",", vm->accel->name);
	append_cpus(&text, vm);
	append_number(&text, "uptime_ms", (monotonic_us() - vm->started_us) / 1000);
	append_number(&text, "serial_lines", serial_lines(vm->serial));
	append_number(&text, "blk_requests", block_requests(vm->block));
	append_number(&text, "blk_errors", block_errors(vm->block));
	append_number(&text, "epoll_eintr", io_thread_eintr(vm->io));
	append_number(&text, "fds", count_fds());
	append_number(&text, "probe_leaks", report_count(vm->report, REPORT_PROBE_LEAK));
	append_number(&text, "probe_refused", report_count(vm->report, REPORT_PROBE_REFUSED));
	append_number(&text, "disk_verified", report_count(vm->report, REPORT_DISK_VERIFIED));
	append_number(&text, "disk_mismatch", report_count(vm->report, REPORT_DISK_MISMATCH));
	append_number(&text, "timer_backwards", report_count(vm->report, REPORT_TIMER_BACKWARDS));
	append_number(&text, "identity_changed", report_count(vm->report, REPORT_IDENTITY_CHANGED));
	append(&text, "}\n");
	return text.used;
}
