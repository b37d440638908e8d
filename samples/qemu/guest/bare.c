/*
 * A guest without an operating system, for /dev/kvm: some twenty times a second it fills a page with
 * a new pattern, checks the page before, and prints one line on the first serial port:
 *
 *   C <number> mem=<ok|bad>
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SERIAL 0x3f8
#define LINE_STATUS (SERIAL + 5)
#define TRANSMITTER_EMPTY 0x20
#define PERIOD_CYCLES (100ull << 20) /* 35 to 50 ms */
#define PAGES 4096
#define WORDS 1024

static u32 *const memory = (u32 *)0x1000000;

static void outb(u16 port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static u8 inb(u16 port)
{
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static u64 cycles(void)
{
    u64 value;
    __asm__ volatile("rdtsc" : "=A"(value));
    return value;
}

static void put(char c)
{
    while (!(inb(LINE_STATUS) & TRANSMITTER_EMPTY))
        __asm__ volatile("pause");
    outb(SERIAL, (u8)c);
}

static void print(const char *text)
{
    while (*text)
        put(*text++);
}

static void print_number(u32 number)
{
    char digits[10];
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count)
        put(digits[--count]);
}

static void fill(u32 number)
{
    u32 *page = memory + (number % PAGES) * WORDS;
    for (u32 i = 0; i < WORDS; i++)
        page[i] = number * 2654435761u + i;
}

static int holds(u32 number)
{
    const volatile u32 *page = memory + (number % PAGES) * WORDS;
    for (u32 i = 0; i < WORDS; i++)
        if (page[i] != number * 2654435761u + i)
            return 0;
    return 1;
}

void guest_main(void);

void guest_main(void)
{
    u64 next = cycles();
    for (u32 number = 0;; number++) {
        fill(number);
        print("C ");
        print_number(number);
        print(number == 0 || holds(number - 1) ? " mem=ok\n" : " mem=bad\n");
        next += PERIOD_CYCLES;
        while ((long long)(cycles() - next) < 0)
            __asm__ volatile("pause");
    }
}
